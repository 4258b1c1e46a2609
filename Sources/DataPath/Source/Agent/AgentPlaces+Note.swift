import CLinuxBlock
import Glibc

extension AgentPlaces {
  /// Whether the note of a final seal can be written while `filesystems` are frozen: a write to one of them would wait
  /// for ever. To be asked before the freeze.
  func checkNote(outside filesystems: [MountedFilesystem]) throws(SyncFailure) {
    guard mkdir(volatile, 0o700) == 0 || errno == EEXIST else { throw unsuitable("cannot be made") }
    var place = stat()
    guard stat(volatile, &place) == 0 else { throw unsuitable("cannot be examined") }
    // Each subvolume of a btrfs has a device number of its own.
    let isBtrfs = lb_filesystem_kind(volatile) == 0x9123_683e
    for filesystem in filesystems where filesystem.canFreeze {
      var frozen = stat()
      guard stat(filesystem.mountPoint, &frozen) == 0 else { continue }
      if frozen.st_dev == place.st_dev || (isBtrfs && filesystem.type == "btrfs") {
        throw unsuitable("lies on the filesystem at \(filesystem.mountPoint), which is to be frozen")
      }
    }
  }

  private func unsuitable(_ reason: String) -> SyncFailure {
    SyncFailure(
      code: "freeze_failed",
      message: "\(volatile) \(reason), and a final sync notes its seal there while everything is frozen; mount a tmpfs "
        + "on /run (mount -t tmpfs tmpfs /run)")
  }
}
