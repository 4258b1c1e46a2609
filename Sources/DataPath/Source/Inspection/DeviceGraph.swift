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
