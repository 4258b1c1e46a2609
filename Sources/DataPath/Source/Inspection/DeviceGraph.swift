/// How block devices lie on each other, by /sys/class/block: partitions on disks, mappings on what they name as slaves.
struct DeviceGraph {
  private let root: String

  /// - Parameter root: where the machine's files begin: empty for this machine, or a copy of parts of /sys.
  init(root: String) { self.root = root }

  private func path(_ device: String) -> String { "\(root)/sys/class/block/\(device)" }

  func exists(_ device: String) -> Bool { SystemFile.text(path(device) + "/dev") != nil }

  /// The kernel's number of a device: major << 20 | minor.
  func number(_ device: String) -> UInt64? {
    let parts = SystemFile.text(path(device) + "/dev")?.split(separator: ":").compactMap { UInt64($0) } ?? []
    return parts.count == 2 ? parts[0] << 20 | parts[1] : nil
  }

  func isPartition(_ device: String) -> Bool { SystemFile.text(path(device) + "/partition") != nil }

  /// The disk of a partition, or the device itself.
  func whole(_ device: String) -> String {
    guard isPartition(device) else { return device }
    // The partition's directory lies inside its disk's.
    return SystemFile.linkTarget(path(device))?.split(separator: "/").dropLast().last.map(String.init) ?? device
  }

  /// The partitions of a disk (or of an array that has some), in the order of their names.
  func partitions(_ device: String) -> [String] {
    SystemFile.names(in: path(device)).filter { $0.hasPrefix(device) && isPartition($0) }
  }

  /// The mappings that lie on a device, directly.
  func holders(_ device: String) -> [String] { SystemFile.names(in: path(device) + "/holders") }

  /// The kernel name of the device at a path such as `/dev/mapper/vg-root`; nil where there is none.
  func device(atPath path: String) -> String? {
    guard path.hasPrefix("/dev/"), let last = path.split(separator: "/").last.map(String.init) else { return nil }
    if path.hasPrefix("/dev/mapper/") {
      // The kernel's own names: the links in /dev are udev's, and may be missing.
      return SystemFile.names(in: "\(root)/sys/class/block").first { title($0) == last }
    }
    return exists(last) ? last : SystemFile.linkName(root + path)
  }

  /// What the owner calls a mapping: `vg-root`; nil for what is none.
  func title(_ device: String) -> String? { SystemFile.text(path(device) + "/dm/name") }

  /// Sectors written to a device since it appeared, as the kernel counts them for each partition and mapping.
  func sectorsWritten(_ device: String) -> UInt64? {
    SystemFile.numbers(path(device) + "/stat").flatMap { $0.count > 6 ? $0[6] : nil }
  }

  /// Where an array keeps the data on one of its members, in bytes from the start of the member: around it lie only
  /// the array's own notes.
  func arrayData(of array: String, on member: String) -> Range<UInt64>? {
    let folder = "\(path(array))/md/dev-\(member)"
    guard let offset = SystemFile.numbers(folder + "/offset")?.first,
      let kibibytes = SystemFile.numbers(folder + "/size")?.first
    else { return nil }
    return offset * 512..<offset * 512 + kibibytes * 1024
  }

  /// All devices of the btrfs of which `device` is one.
  func pool(of device: String) -> [String] {
    let folder = "\(root)/sys/fs/btrfs"
    return SystemFile.names(in: folder).lazy.map { SystemFile.names(in: "\(folder)/\($0)/devices") }
      .first { $0.contains(device) } ?? [device]
  }

  /// What a mapping lies on, directly; empty for a disk.
  func slaves(_ device: String) -> [String] { SystemFile.names(in: path(device) + "/slaves") }

  /// The whole disks a device ends on: itself for a disk.
  func disks(under device: String) -> Set<String> { disks(under: device, depth: 0) }

  private func disks(under device: String, depth: Int) -> Set<String> {
    let whole = whole(device)
    let below = slaves(whole)
    // Mappings of mappings of ...: a cycle cannot be, but a limit costs nothing.
    if below.isEmpty || depth > 16 { return [whole] }
    return below.reduce(into: []) { $0.formUnion(disks(under: $1, depth: depth + 1)) }
  }

  /// Bytes.
  func size(_ device: String) -> UInt64? {
    SystemFile.numbers(path(device) + "/size")?.first.map { $0 * 512 }
  }

  /// Bytes from the start of the disk; 0 for a disk.
  func start(_ partition: String) -> UInt64 {
    (SystemFile.numbers(path(partition) + "/start")?.first ?? 0) * 512
  }
}
