import Glibc
import Repair

/// The disks of this machine, in the order of their names: `vda` before `vdb`.
struct AttachedDisks {
  private static let prefixes = ["vd", "sd", "nvme", "xvd"]

  func names() -> [String] {
    GuestFiles(root: "/").names(in: "/sys/block")
      .filter { name in Self.prefixes.contains(where: name.hasPrefix) }
      .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
  }

  /// - Throws: `GuestFiles.Failure` when a disk cannot be opened.
  func inventory() throws -> BlockInventory {
    BlockInventory(disks: try names().map { try DiskProbe("/dev/" + $0).disk(named: $0) })
  }
}
