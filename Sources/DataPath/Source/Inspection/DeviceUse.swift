/// What a set of whole disks is used for, down to the devices that nothing else is made of: found by going up from the
/// disks over partitions, LVM, md and the like to mounts and swap areas.
struct DeviceUse {
  enum Use: Hashable, Sendable {
    case filesystem(MountedFilesystem)
    case swap
    /// Nothing is mounted from it: it is unused, or a program writes it as it is.
    case none
  }

  /// A device that nothing else is made of.
  struct Part: Hashable, Sendable {
    /// Kernel name: `sda1`, `dm-3`.
    var device: String
    var use: Use
  }

  /// A partition, or a whole disk without any.
  struct Region: Hashable, Sendable {
    /// Position in the list of disks.
    var disk: Int
    /// Bytes of the disk.
    var range: Range<UInt64>
    /// What it is used for, in the end.
    var parts: [Part]
    /// Bytes of the disk in which an array only notes its own state.
    var notes: [Range<UInt64>] = []
  }

  /// A mounted filesystem that also needs disks which are not in the set.
  struct Incomplete: Hashable, Sendable {
    var filesystem: MountedFilesystem
    var missing: [String]
  }

  let disks: [String]
  let regions: [Region]
  let incomplete: [Incomplete]

  private let titles: [String: String]

  /// - Parameters:
  ///   - disks: kernel names of whole disks: `sda`.
  ///   - root: as for `MountTable`.
  init(disks: [String], root: String = "") {
    let devices = DeviceGraph(root: root)
    let walk = Walk(devices: devices, root: root)
    self.disks = disks
    regions = disks.enumerated().flatMap { index, disk in walk.regions(of: disk, at: index) }
    let parts = Set(regions.flatMap(\.parts))
    titles = Dictionary(
      parts.compactMap { part in devices.title(part.device).map { (part.device, $0) } },
      uniquingKeysWith: { first, _ in first })
    var incomplete: Set<Incomplete> = []
    for part in parts {
      guard case .filesystem(let filesystem) = part.use else { continue }
      let all = Set(devices.pool(of: filesystem.device).flatMap { devices.disks(under: $0) })
      let missing = all.subtracting(disks)
      if !missing.isEmpty { incomplete.insert(.init(filesystem: filesystem, missing: missing.sorted())) }
    }
    self.incomplete = incomplete.sorted { $0.filesystem.mountID < $1.filesystem.mountID }
  }

  /// Every device that nothing else is made of, once.
  var parts: [Part] { Set(regions.flatMap(\.parts)).sorted { $0.device < $1.device } }

  /// How a person knows a device: `dm-3 (vg-data)`.
  func title(_ device: String) -> String { titles[device].map { "\(device) (\($0))" } ?? device }
}

/// The way up from a disk.
private struct Walk {
  let devices: DeviceGraph
  let mounts: [String: MountedFilesystem]
  let swaps: Set<String>

  init(devices: DeviceGraph, root: String) {
    self.devices = devices
    var mounts: [String: MountedFilesystem] = [:]
    for filesystem in MountTable(root: root).filesystems {
      for member in devices.pool(of: filesystem.device) { mounts[member] = filesystem }
    }
    self.mounts = mounts
    let lines = (SystemFile.text(root + "/proc/swaps") ?? "").split(separator: "\n").dropFirst()
    swaps = Set(
      lines.compactMap { $0.split(separator: " ").first }.compactMap {
        devices.device(atPath: MountTable.unescape(String($0)))
      })
  }

  func regions(of disk: String, at index: Int) -> [DeviceUse.Region] {
    let partitions = devices.partitions(disk)
    return (partitions.isEmpty ? [disk] : partitions).compactMap { device in
      // The kernel shows an extended partition as one of two sectors.
      guard let size = devices.size(device), size > 1024 else { return nil }
      let start = devices.start(device)
      return DeviceUse.Region(
        disk: index, range: start..<start + size, parts: parts(on: device, depth: 0),
        notes: notes(on: device, start: start, size: size))
    }
  }

  private func parts(on device: String, depth: Int) -> [DeviceUse.Part] {
    if let filesystem = mounts[device] { return [.init(device: device, use: .filesystem(filesystem))] }
    if swaps.contains(device) { return [.init(device: device, use: .swap)] }
    let above = devices.holders(device) + (depth > 0 ? devices.partitions(device) : [])
    // Mappings of mappings of ...: a cycle cannot be, but a limit costs nothing.
    if above.isEmpty || depth > 16 { return [.init(device: device, use: .none)] }
    var found: [DeviceUse.Part] = []
    for part in above.flatMap({ parts(on: $0, depth: depth + 1) }) where !found.contains(part) { found.append(part) }
    return found
  }

  private func notes(on device: String, start: UInt64, size: UInt64) -> [Range<UInt64>] {
    guard let data = devices.holders(device).compactMap({ devices.arrayData(of: $0, on: device) }).first,
      data.upperBound <= size
    else { return [] }
    return [start..<start + data.lowerBound, start + data.upperBound..<start + size].filter { !$0.isEmpty }
  }
}
