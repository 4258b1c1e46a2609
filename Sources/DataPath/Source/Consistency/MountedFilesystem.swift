/// A mounted filesystem that takes part in the consistent instant.
public struct MountedFilesystem: Hashable, Sendable {
  /// Where it is mounted (one of the places, if there are several).
  public var mountPoint: String
  /// `ext4`, `xfs`, `vfat`, ...
  public var type: String
  /// Kernel name of the device it lies on: `sda1`, `dm-0`.
  public var device: String
  /// The kernel's number of that mount; a higher one was mounted later.
  public var mountID: Int

  public init(mountPoint: String, type: String, device: String, mountID: Int) {
    (self.mountPoint, self.type, self.device, self.mountID) = (mountPoint, type, device, mountID)
  }
}

/// How consistent a filesystem is in a point.
public enum ConsistencyLevel: String, Hashable, Codable, Sendable {
  /// As after a loss of power at one instant.
  case crash
  /// The filesystem was frozen: everything written before is in it, and it needs no repair.
  case filesystem
  /// Frozen, and hooks brought the applications to rest before.
  case application
}
