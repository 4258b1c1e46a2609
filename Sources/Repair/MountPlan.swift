/// What of a guest must be mounted besides its root before it can be repaired: where its kernels, its loader, its
/// programs and its state lie, as its own /etc/fstab says.
public struct MountPlan: Hashable, Sendable {
  public struct Mount: Hashable, Sendable {
    public var location: BlockInventory.Location
    /// In the guest.
    public var mountPoint: String
    /// From the superblock, not from /etc/fstab.
    public var type: String
    /// Of the options in /etc/fstab the one that chooses what is seen: `subvol=...`; else empty.
    public var options: String
  }

  /// In the order to mount them.
  public private(set) var mounts: [Mount] = []
  /// Devices /etc/fstab names for these places that were not found, with their mount points.
  public private(set) var missing: [String: String] = [:]

  private static let places: Set<String> = ["/boot", "/boot/efi", "/efi", "/usr", "/var", "/var/lib"]

  /// - Parameters:
  ///   - files: the guest with its root alone mounted.
  ///   - sourceDisks: as for `RepairPlanner`.
  public init(files: GuestFiles, inventory: BlockInventory, sourceDisks: [String]) {
    let names = DeviceNames(inventory: inventory, sourceDisks: sourceDisks)
    for entry in Fstab(files.text("/etc/fstab") ?? "").entries where Self.places.contains(entry.mountPoint) {
      guard let location = names.location(of: entry.device), let content = inventory.content(at: location) else {
        missing[entry.device] = entry.mountPoint
        continue
      }
      let options = entry.options.first { $0.hasPrefix("subvol=") } ?? ""
      mounts.append(
        Mount(location: location, mountPoint: entry.mountPoint, type: content.type, options: options))
    }
    mounts.sort { $0.mountPoint < $1.mountPoint }
    guard !mounts.contains(where: { $0.mountPoint.hasSuffix("/efi") }), let system = inventory.systemPartitions.first,
      let type = inventory.content(at: system)?.type,
      let place = ["/boot/efi", "/efi"].first(where: files.isFolder)
    else { return }
    mounts.append(Mount(location: system, mountPoint: place, type: type, options: ""))
  }
}
