import Foundation
import Glibc
import Logging
import ServiceKit

/// A program of ours that runs beside the platform and outlives it: started in a session of its own, found again after a
/// restart by its pid file.
struct Companion: Sendable {
  /// `godwit-gateway`; found beside this executable.
  let name: String
  let arguments: [String]
  /// What else it was started with, and must be started again for when it changes: a certificate's text.
  let revision: String
  /// The state folder; the pid file is `run/NAME.pid`, the log `logs/NAME.log`.
  let folder: String

  /// Which process it is: a pid alone may have been given to another one since.
  struct Record: Codable, Hashable {
    var pid: pid_t
    /// Clock ticks from boot to its start, of /proc/PID/stat.
    var started: UInt64
    var arguments: [String]
    var revision: String
  }

  private var pidFile: String { "\(folder)/run/\(name).pid" }

  /// The process of the pid file, if it still runs.
  func running() throws -> Record? {
    guard let bytes = try PrivateFile.read(pidFile),
      let record = try? JSONDecoder().decode(Record.self, from: Data(bytes)),
      Self.startTime(record.pid) == record.started
    else { return nil }
    return record
  }

  /// Makes sure that it runs with these arguments: takes up the one that runs, or starts one. One with other arguments is
  /// ended first.
  func ensure(logger: Logger) throws {
    if let record = try running() {
      if record.arguments == arguments, record.revision == revision { return }
      logger.notice("settings changed, restarting", metadata: ["program": "\(name)", "pid": "\(record.pid)"])
      try end()
    }
    let executable = try Self.beside(name)
    let pid = try spawn(executable)
    guard let started = Self.startTime(pid) else {
      throw ConfigurationError("\(name) ended at once.", remedy: "See \(folder)/logs/\(name).log.")
    }
    let record = Record(pid: pid, started: started, arguments: arguments, revision: revision)
    try PrivateFile.write(Array(JSONEncoder().encode(record)), to: pidFile)
    logger.info("program started", metadata: ["program": "\(name)", "pid": "\(pid)"])
  }

  /// Ends it: SIGTERM, and after `patience` seconds SIGKILL.
  func end(patience: Double = 10) throws {
    guard let record = try running() else { return }
    kill(record.pid, SIGTERM)
    let deadline = Date().addingTimeInterval(patience)
    while Self.startTime(record.pid) == record.started {
      var status: CInt = 0
      waitpid(record.pid, &status, WNOHANG)
      if Date() > deadline { kill(record.pid, SIGKILL) }
      usleep(20_000)
    }
    unlink(pidFile)
  }

  /// Takes note of an ended child, so that it does not stay a zombie.
  func reap() throws {
    guard let bytes = try PrivateFile.read(pidFile),
      let record = try? JSONDecoder().decode(Record.self, from: Data(bytes))
    else { return }
    var status: CInt = 0
    waitpid(record.pid, &status, WNOHANG)
  }

  static func beside(_ name: String) throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw ConfigurationError("/proc is not mounted.", remedy: "Mount it.") }
    let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let path = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    guard access(path, X_OK) == 0 else {
      throw ConfigurationError("There is no program \(path).", remedy: "Install \(name) beside godwit.")
    }
    return path
  }

  /// Nil where no such process is, or only its zombie.
  static func startTime(_ pid: pid_t) -> UInt64? {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
    return UInt64(fields[19])
  }

  private func spawn(_ executable: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "\(folder)/logs/\(name).log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID and POSIX_SPAWN_SETSIGMASK: its own session, and no signal blocked as ours may be.
    posix_spawnattr_setflags(&attributes, 0x80 | 0x08)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, executable, &actions, &attributes, &words, environ)
    guard code == 0 else {
      throw ConfigurationError(
        "\(executable) cannot be started: \(String(cString: strerror(code))).", remedy: "Check it.")
    }
    return pid
  }
}
