/// What lies on a device, by the marks its format leaves there.
public struct Superblock: Hashable, Sendable {
  /// As `blkid` names it: `ext4`, `xfs`, `btrfs`, `vfat`, `swap`, `LVM2_member`, `linux_raid_member`, `crypto_LUKS`.
  public var type: String
  /// As it stands after `UUID=`; empty where the format has none.
  public var uuid: String
  /// As it stands after `LABEL=`; empty where there is none.
  public var label = ""

  /// Looks at `length` bytes of a disk from `start`. Nil where nothing known is found.
  public static func read(start: UInt64 = 0, length: UInt64, _ disk: DiskRead) -> Superblock? {
    // Members of an array may begin with a copy of the filesystem inside: they come first.
    for probe in [raid, lvm, luks, xfs, ext, btrfs, swap, vfat] {
      if let found = probe(disk, start, length) { return found }
    }
    return nil
  }

  private static func ext(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    guard let block = DiskBytes(disk, at: start + 1024, count: 1024), block.u16(0x38) == 0xef53 else { return nil }
    let (compatible, incompatible, readOnly) = (block.u32(0x5c), block.u32(0x60), block.u32(0x64))
    // Extents, 64-bit, flexible groups; huge files, group checksums, directory links, large inodes, checksums: ext4.
    let isExt4 = incompatible & 0x2c0 != 0 || readOnly & 0x478 != 0
    // A journal: ext3.
    return Self(
      type: isExt4 ? "ext4" : compatible & 4 != 0 ? "ext3" : "ext2", uuid: block.uuid(0x68),
      label: block.label(0x78, 16))
  }

  private static func xfs(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    guard let block = DiskBytes(disk, at: start, count: 512), block.text(0, 4) == "XFSB" else { return nil }
    return Self(type: "xfs", uuid: block.uuid(32), label: block.label(108, 12))
  }

  private static func btrfs(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    guard let block = DiskBytes(disk, at: start + 0x10000, count: 512), block.text(0x40, 8) == "_BHRfS_M" else {
      return nil
    }
    return Self(type: "btrfs", uuid: block.uuid(0x20))
  }

  private static func swap(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    // The mark ends the first page, whose size is the machine's that made it.
    for page in [4096, 16384, 65536] {
      guard let block = DiskBytes(disk, at: start, count: page) else { return nil }
      if block.text(page - 10, 10) == "SWAPSPACE2" {
        return Self(type: "swap", uuid: block.uuid(1036), label: block.label(1052, 16))
      }
    }
    return nil
  }

  private static func vfat(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    guard let block = DiskBytes(disk, at: start, count: 512), block.u16(510) == 0xaa55 else { return nil }
    for (name, serial) in [(82, 67), (54, 39)] where block.text(name, 3) == "FAT" {
      let digits = String(block.u32(serial), radix: 16, uppercase: true)
      let padded = String(repeating: "0", count: 8 - digits.count) + digits
      return Self(
        type: "vfat", uuid: "\(padded.prefix(4))-\(padded.suffix(4))", label: block.label(serial + 4, 11))
    }
    return nil
  }

  private static func luks(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    guard let block = DiskBytes(disk, at: start, count: 512), block.u32(0) == 0x534b_554c, block.u16(4) == 0xbeba else {
      return nil
    }
    return Self(type: "crypto_LUKS", uuid: block.text(168, 40))
  }

  private static func lvm(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    for sector in UInt64(0)..<4 {
      guard let label = DiskBytes(disk, at: start + sector * 512, count: 512) else { return nil }
      guard label.text(0, 8) == "LABELONE", label.text(24, 8) == "LVM2 001" else { continue }
      let at = Int(label.u32(20))
      guard at + 32 <= 512 else { return nil }
      let identity = Array(label.text(at, 32))
      guard identity.count == 32 else { return nil }
      var uuid = ""
      for (index, character) in identity.enumerated() {
        if [6, 10, 14, 18, 22, 26].contains(index) { uuid += "-" }
        uuid.append(character)
      }
      return Self(type: "LVM2_member", uuid: uuid)
    }
    return nil
  }

  private static func raid(_ disk: DiskRead, _ start: UInt64, _ length: UInt64) -> Self? {
    // Version 1.2 and 1.1 stand near the start, 1.0 and 0.90 near the end.
    var places: [UInt64] = [4096, 0]
    if length >= 128 << 10 {
      places.append((length / 512 - 16) / 8 * 8 * 512)
      places.append(length / 65536 * 65536 - 65536)
    }
    for place in places {
      guard let block = DiskBytes(disk, at: start + place, count: 512), block.u32(0) == 0xa92b_4efc else { continue }
      if block.u32(4) == 1 { return Self(type: "linux_raid_member", uuid: block.uuid(16)) }
      // 0.90 keeps its identifier as four words, the first apart from the others.
      return Self(type: "linux_raid_member", uuid: "")
    }
    return nil
  }
}
