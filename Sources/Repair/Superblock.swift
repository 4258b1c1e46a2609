/// Recognises what a device holds by its superblock.
enum Superblock {
  /// - Parameter read: bytes at an offset of the device; fewer than asked at its end.
  static func content(read: (UInt64, Int) -> [UInt8]) -> BlockInventory.Content? {
    let head = read(0, 8192)
    guard head.count == 8192 else { return nil }
    // Containers first: a filesystem may shine through from inside them or from before.
    return container(head) ?? linux(head) ?? btrfs(read(0x10000, 0x100)) ?? fat(head)
  }

  private static func container(_ head: [UInt8]) -> BlockInventory.Content? {
    for sector in stride(from: 0, to: 2048, by: 512) where head.has("LABELONE", at: sector) {
      return .init(type: "LVM2_member", uuid: "")
    }
    if head.littleEndian(at: 4096, count: 4) == 0xa92b_4efc || head.littleEndian(at: 0, count: 4) == 0xa92b_4efc {
      return .init(type: "linux_raid_member", uuid: "")
    }
    if head.prefix(6).elementsEqual([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]) {
      return .init(type: "crypto_LUKS", uuid: String(decoding: head[168..<208].prefix { $0 != 0 }, as: UTF8.self))
    }
    return nil
  }

  private static func linux(_ head: [UInt8]) -> BlockInventory.Content? {
    if head.has("XFSB", at: 0) {
      return .init(type: "xfs", uuid: Array(head[32..<48]).dashed, label: head.text(108, 12))
    }
    if head.has("SWAPSPACE2", at: 4086) {
      return .init(type: "swap", uuid: Array(head[1036..<1052]).dashed, label: head.text(1052, 16))
    }
    guard head.littleEndian(at: 1024 + 0x38, count: 2) == 0xef53 else { return nil }
    let extents = head.littleEndian(at: 1024 + 0x60, count: 4) & 0x2c0 != 0
    let journal = head.littleEndian(at: 1024 + 0x5c, count: 4) & 4 != 0
    return .init(
      type: extents ? "ext4" : journal ? "ext3" : "ext2", uuid: Array(head[0x468..<0x478]).dashed,
      label: head.text(0x478, 16))
  }

  private static func btrfs(_ head: [UInt8]) -> BlockInventory.Content? {
    guard head.count == 0x100, head.has("_BHRfS_M", at: 0x40) else { return nil }
    return .init(type: "btrfs", uuid: Array(head[0x20..<0x30]).dashed)
  }

  private static func fat(_ head: [UInt8]) -> BlockInventory.Content? {
    guard head[510] == 0x55, head[511] == 0xaa else { return nil }
    let serial = head.has("FAT32   ", at: 82) ? 67 : head.has("FAT1", at: 54) ? 39 : nil
    guard let serial else { return nil }
    let digits = Array(head[serial..<serial + 4].reversed()).hexadecimal.uppercased()
    return .init(
      type: "vfat", uuid: "\(digits.prefix(4))-\(digits.suffix(4))", label: head.text(serial + 4, 11))
  }
}

extension [UInt8] {
  /// A label: ends at a zero, spaces behind it do not count.
  fileprivate func text(_ offset: Int, _ count: Int) -> String {
    var bytes = self[offset..<offset + count].prefix { $0 != 0 }
    while bytes.last == UInt8(ascii: " ") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  fileprivate func has(_ text: String, at offset: Int) -> Bool {
    self[offset...].starts(with: text.utf8)
  }
}
