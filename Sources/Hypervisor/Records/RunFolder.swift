import FoundationEssentials
import Glibc

/// The sockets, pid file and log of one QEMU or storage daemon.
///
/// The process has the log as its standard error, locked: the lock lives exactly as long as the process, whoever started
/// it, and says more surely than any process list whether it is there.
struct RunFolder: Sendable {
  let path: String
  var monitor: String { "\(path)/qmp" }
  var nbd: String { "\(path)/nbd" }
  var pid: String { "\(path)/pid" }
  var screenshot: String { "\(path)/screen" }
  /// What the process says on standard error.
  var log: String { "\(path)/log" }
  var longestPath: String { monitor }

  /// An empty folder, whatever was there.
  func make() throws {
    try remove()
    try StateFolder.makePrivate(path)
  }

  func remove() throws {
    guard access(path, F_OK) == 0 else { return }
    try FileManager.default.removeItem(atPath: path)
  }

  /// Whether a process that was started with this folder still runs, or is just being started.
  var isHeld: Bool {
    let descriptor = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0
  }
}
