internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// The owner's programs that bring applications to rest around the consistent instant.
///
/// They lie in a folder that only root can write; the names decide when they run: `pre-*` before each freeze, `post-*`
/// after it (in reverse order), `pre-switch-*` before the freeze of a switch, first of all. The platform can neither send
/// nor name one. A hook gets its moment as its only argument, and no standard input.
public struct Hooks: Sendable {
  public enum Moment: String, Sendable {
    case pre
    case post
    case preSwitch = "pre-switch"
  }

  /// How one hook ended.
  public struct Outcome: Sendable, Codable, Hashable {
    public var name: String
    /// Exit status; 128 and above for a signal; nil where it ran out of time and was ended.
    public var status: Int32?
    /// The end of what it printed, at most 64 KiB.
    public var output: String
    public var succeeded: Bool { status == 0 }
  }

  private let folder: String
  private let limit: Duration

  /// - Parameter limit: what one hook may take.
  public init(folder: String = "/etc/godwit-agent/hooks.d", limit: Duration = .seconds(60)) {
    self.folder = folder
    self.limit = limit
  }

  /// The hooks for a moment, in the order in which they run.
  public func names(for moment: Moment) -> [String] {
    let names = SystemFile.names(in: folder).filter { name in
      // "pre-switch-" begins with "pre-", too.
      name.hasPrefix(moment.rawValue + "-")
        && (moment == .preSwitch || !name.hasPrefix(Moment.preSwitch.rawValue + "-"))
    }
    return moment == .post ? names.reversed() : names
  }

  /// Runs the hooks for a moment one after the other. Of `pre` and `preSwitch` hooks the first that fails ends the row;
  /// `post` hooks run whatever happens. Empty where there are none.
  public func run(_ moment: Moment) -> [Outcome] {
    var outcomes: [Outcome] = []
    for name in names(for: moment) {
      let outcome = run(name, moment)
      outcomes.append(outcome)
      if !outcome.succeeded && moment != .post { break }
    }
    return outcomes
  }

  private func run(_ name: String, _ moment: Moment) -> Outcome {
    let path = "\(folder)/\(name)"
    if let refusal = refusal(of: path) { return Outcome(name: name, status: 126, output: refusal) }
    var ends: [Int32] = [0, 0]
    let piped = lb_pipe(&ends)
    if piped < 0 { return Outcome(name: name, status: 126, output: "pipe: \(Errno(rawValue: -piped))") }
    let reading = OwnedDescriptor(owning: ends[0])
    let process: pid_t
    do throws(Errno) {
      let writing = OwnedDescriptor(owning: ends[1])
      process = try spawn(path, moment, output: writing.rawValue)
    } catch {
      return Outcome(name: name, status: 126, output: "posix_spawn: \(error)")
    }
    let output = ChildOutput(reading.rawValue)
    let status = output.wait(for: process, limit: limit)
    return Outcome(name: name, status: status, output: output.text)
  }

  /// Why a file is not trusted to be run as root; nil where it is.
  func refusal(of path: String) -> String? {
    for checked in [folder, path] {
      var status = stat()
      guard lstat(checked, &status) == 0 else { return "\(checked): \(Errno(rawValue: errno))" }
      guard status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
        return "\(checked) must belong to root and be writable by nobody else"
      }
      if checked == path, status.st_mode & S_IFMT != S_IFREG { return "\(checked) is not a plain file" }
    }
    return nil
  }

  private func spawn(_ path: String, _ moment: Moment, output: Int32) throws(Errno) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own, so that what it starts can be ended with it; no signal blocked or ignored.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var process: pid_t = 0
    let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"]
    let result = withCStrings([path, moment.rawValue]) { arguments in
      withCStrings(environment) { posix_spawn(&process, path, &actions, &attributes, arguments, $0) }
    }
    if result != 0 { throw Errno(rawValue: result) }
    return process
  }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<R>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
  var copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
  defer { for copy in copies { free(copy) } }
  return copies.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
