import Glibc
import SystemPackage

/// The service manager, where systemd runs.
public struct Systemd: Sendable {
  private let places: AgentPlaces

  public init(places: AgentPlaces) { self.places = places }

  /// Whether systemd is this machine's init.
  public var isRunning: Bool { access("/run/systemd/system", F_OK) == 0 }

  private var name: String { String(places.unit[places.unit.index(after: places.unit.lastIndex(of: "/")!)...]) }

  var unit: String {
    """
    [Unit]
    Description=Godwit agent: replicates this machine
    After=network-online.target
    Wants=network-online.target

    [Service]
    ExecStart=\(places.program) run
    Restart=on-failure
    RestartSec=5
    # The watchdog of a freeze outlives the agent, and thaws when it has died.
    KillMode=process
    # A hook that runs out of memory does not take the agent with it.
    OOMPolicy=continue
    OOMScoreAdjust=-500
    UMask=0077

    [Install]
    WantedBy=multi-user.target

    """
  }

  /// Writes the unit and starts it, now and at every boot.
  public func install() throws {
    try PrivateFile.write(Array(unit.utf8), to: places.unit)
    guard chmod(places.unit, 0o644) == 0 else { throw PrivateFile.failure("chmod", places.unit) }
    try systemctl("daemon-reload")
    try systemctl("enable", "--now", name)
  }

  /// Removes the unit. The running service goes on until it exits.
  public func uninstall() throws {
    guard access(places.unit, F_OK) == 0 else { return }
    try? systemctl("disable", name)
    try PrivateFile.remove(places.unit)
    try? systemctl("daemon-reload")
  }

  private func systemctl(_ words: String...) throws {
    let programs: [String] = ["/usr/bin/systemctl", "/bin/systemctl"]
    guard let program = programs.first(where: { access($0, X_OK) == 0 }) else {
      throw AgentError("systemctl was not found", remedy: "use --no-service and start `godwit-agent run` yourself")
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = []
    for word in [program] + words { arguments.append(strdup(word)) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var process = pid_t()
    let failure = posix_spawn(&process, program, nil, nil, arguments, environ)
    guard failure == 0 else { throw AgentError("systemctl: \(Errno(rawValue: failure))", remedy: "use --no-service") }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else {
      throw AgentError(
        "systemctl \(words.joined(separator: " ")) failed (\(status >> 8))",
        remedy: "see `journalctl -u godwit-agent`, or use --no-service")
    }
  }
}
