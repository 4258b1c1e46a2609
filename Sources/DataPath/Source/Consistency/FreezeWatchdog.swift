internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// A process of its own that thaws filesystems when time is up, or as soon as the process that armed it has died. It was
/// forked, holds the filesystems open already, and makes only system calls: nothing it needs can lie on what is frozen.
struct FreezeWatchdog: ~Copyable, Sendable {
  private let control: OwnedDescriptor
  private let process: Int32

  /// Returns once the watchdog stands guard.
  ///
  /// - Parameter filesystems: descriptors of directories on them.
  init(filesystems: [Int32], limit: Duration) throws(FreezeError) {
    var control: Int32 = -1
    var process: Int32 = -1
    let milliseconds =
      UInt64(limit.components.seconds) * 1000 + UInt64(limit.components.attoseconds / 1_000_000_000_000_000)
    let result = lb_watchdog_start(filesystems, Int32(filesystems.count), milliseconds, &control, &process)
    if result < 0 {
      throw FreezeError(mountPoint: "", call: "fork of the watchdog", reason: "\(Errno(rawValue: -result))")
    }
    self.control = OwnedDescriptor(owning: control)
    self.process = process
  }

  /// Ends the watchdog. False if it had thawed already.
  consuming func disarm() -> Bool {
    var word = UInt8(ascii: "d")
    _ = send(control.rawValue, &word, 1, Int32(MSG_NOSIGNAL))
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return status == 0
  }
}
