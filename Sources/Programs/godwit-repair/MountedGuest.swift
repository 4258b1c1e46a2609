import Glibc
import Repair

/// A guest whose root is mounted at a folder of the appliance.
struct MountedGuest {
  let inventory: BlockInventory
  let root: BlockInventory.Content
  let folder: String

  private static let table = MountTable()

  /// Mounts the first filesystem that is the root of a Linux machine; nil when there is none.
  static func find(in inventory: BlockInventory, at folder: String) -> MountedGuest? {
    for (location, content) in inventory.contents where ["ext2", "ext3", "ext4", "xfs", "btrfs"].contains(content.type)
    {
      let views = content.type == "btrfs" ? ["", "subvol=@", "subvol=@rootfs", "subvol=root"] : [""]
      for view in views {
        do {
          try table.mount(inventory.node(location), at: folder, type: content.type, options: view)
        } catch {
          print("\(error)")
          continue
        }
        if isRoot(folder) { return MountedGuest(inventory: inventory, root: content, folder: folder) }
        try? table.unmount(folder)
      }
    }
    return nil
  }

  /// Mounts what the repair needs besides the root.
  /// - Returns: the folders, in the order they were mounted.
  func mountOthers(sourceDisks: [String]) throws -> [String] {
    let files = GuestFiles(root: folder)
    let plan = MountPlan(files: files, inventory: inventory, sourceDisks: sourceDisks)
    for (device, place) in plan.missing { print("not found: \(device) for \(place)") }
    return try plan.mounts.map { mount in
      let place = files.folder(mount.mountPoint)
      try Self.table.mount(inventory.node(mount.location), at: place, type: mount.type, options: mount.options)
      return place
    }
  }

  func unmount(_ others: [String]) throws {
    for place in others.reversed() + [folder] { try Self.table.unmount(place) }
  }

  private static func isRoot(_ folder: String) -> Bool {
    let files = GuestFiles(root: folder)
    return !files.names(in: "/etc").isEmpty && !files.names(in: "/lib/modules").isEmpty
      || files.exists("/etc/fstab") || files.exists("/etc/os-release")
  }
}
