internal import CLinuxBlock
internal import Glibc

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

  /// Filesystems whose kernel code offers no freeze.
  private static let unfreezable: Set<String> = [
    "vfat", "msdos", "exfat", "ntfs", "ntfs3", "iso9660", "udf", "squashfs"
  ]

  /// Whether it can take part in a freeze.
  public var canFreeze: Bool { !Self.unfreezable.contains(type) }

  /// The filesystems of this machine that lie, directly or through mappings, on the whole disks named.
  ///
  /// - Parameter disks: kernel names of whole disks: `sda`.
  public static func on(disks: [String]) -> [MountedFilesystem] {
    let devices = DeviceGraph(root: "")
    return MountTable(root: "").filesystems.filter { filesystem in
      devices.pool(of: filesystem.device).contains { !devices.disks(under: $0).isDisjoint(with: disks) }
    }
  }
}
