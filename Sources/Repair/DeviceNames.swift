/// Finds what a source meant by a kernel device name such as `/dev/sda1`, which another machine gives to another disk.
struct DeviceNames: Sendable {
  /// A name taken apart: `/dev/nvme0n1p2` is disk `nvme0n1`, the first of its kind, partition 2.
  struct Parsed: Hashable, Sendable {
    var disk: String
    var index: Int
    var partition: Int?
  }

  var inventory: BlockInventory
  /// Kernel names the source gave its disks, in the order of the inventory; empty when they are not known: then
  /// `sda`, `hda`, `vda` and `nvme0n1` all mean the first disk.
  var sourceDisks: [String]

  /// What lies on the device that `name` meant on the source; nil when no disk answers to it.
  func content(of name: String) -> BlockInventory.Content? { location(of: name).flatMap(inventory.content) }

  /// Where a device is that the source names, be it by `/dev/...`, `UUID=`, `LABEL=` or `PARTUUID=`.
  func location(of name: String) -> BlockInventory.Location? {
    for (prefix, value) in [("UUID=", \BlockInventory.Content.uuid), ("LABEL=", \.label)] where name.hasPrefix(prefix) {
      let wanted = name.dropFirst(prefix.count).filter { $0 != "\"" }.lowercased()
      return inventory.contents.first { $0.content[keyPath: value].lowercased() == wanted }?.location
    }
    if name.hasPrefix("PARTUUID=") { return partition(identified: name.dropFirst(9).lowercased()) }
    if let number = Self.stablePartition(name) {
      return inventory.disks.count == 1 ? existing(0, number) : nil
    }
    guard let parsed = Self.parse(name) else { return nil }
    guard !sourceDisks.isEmpty else { return existing(parsed.index, parsed.partition) }
    return sourceDisks.firstIndex(of: parsed.disk).flatMap { existing($0, parsed.partition) }
  }

  /// Whether `name` is one that changes with the controller, so that it must not stay.
  static func isUnstable(_ name: String) -> Bool { parse(name) != nil || stablePartition(name) != nil }

  private func existing(_ index: Int, _ partition: Int?) -> BlockInventory.Location? {
    let location = BlockInventory.Location(disk: index, partition: partition)
    return inventory.content(at: location) == nil ? nil : location
  }

  private func partition(identified uuid: String) -> BlockInventory.Location? {
    for (index, disk) in inventory.disks.enumerated() {
      if let found = disk.partitions.first(where: { $0.uuid == uuid }) {
        return BlockInventory.Location(disk: index, partition: found.number)
      }
    }
    return nil
  }

  static func parse(_ name: String) -> Parsed? {
    guard name.hasPrefix("/dev/") else { return nil }
    let device = name.dropFirst(5)
    for prefix in ["xvd", "sd", "hd", "vd"] where device.hasPrefix(prefix) {
      let letters = device.dropFirst(prefix.count).prefix { ("a"..."z").contains($0) }
      let digits = device.dropFirst(prefix.count + letters.count)
      guard (1...3).contains(letters.count), let partition = number(digits) else { return nil }
      let index = letters.utf8.reduce(0) { $0 * 26 + Int($1) - 96 } - 1
      return Parsed(disk: prefix + letters, index: index, partition: partition)
    }
    for (prefix, separator) in [("nvme", "n"), ("mmcblk", "")] where device.hasPrefix(prefix) {
      var rest = device.dropFirst(prefix.count)
      let controller = rest.prefix { $0.isNumber }
      rest = rest.dropFirst(controller.count)
      guard let index = Int(controller), rest.hasPrefix(separator) else { return nil }
      rest = rest.dropFirst(separator.count)
      let namespace = separator.isEmpty ? "" : rest.prefix { $0.isNumber }
      rest = rest.dropFirst(namespace.count)
      let disk = prefix + controller + separator + namespace
      if rest.isEmpty { return Parsed(disk: disk, index: index, partition: nil) }
      guard rest.first == "p", let partition = Int(rest.dropFirst()) else { return nil }
      return Parsed(disk: disk, index: index, partition: partition)
    }
    return nil
  }

  /// The partition number in a by-id or by-path name, whose controller the target does not have.
  private static func stablePartition(_ name: String) -> Int? {
    guard name.hasPrefix("/dev/disk/by-id/") || name.hasPrefix("/dev/disk/by-path/") else { return nil }
    guard let dash = name.lastIndex(of: "-") else { return nil }
    let last = name[name.index(after: dash)...]
    return last.hasPrefix("part") ? Int(last.dropFirst(4)) : nil
  }

  /// `.some(nil)` for no digits, nil for what is not a number.
  private static func number(_ digits: Substring) -> Int?? {
    if digits.isEmpty { return .some(nil) }
    return Int(digits).map { .some($0) }
  }
}
