/// The partition table of a disk: GPT or MBR with its chain of logical partitions. Every number on it is untrusted.
public struct PartitionTable: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable { case gpt, dos, none }

  public struct Entry: Hashable, Sendable {
    public var number: Int
    /// Bytes.
    public var start: UInt64
    public var size: UInt64
    /// MBR type byte as two hex digits, or GPT type GUID, in lower case.
    public var type: String
    /// GPT identifier, as it stands after `PARTUUID=`; empty for MBR.
    public var uuid = ""
    /// The frame around the logical partitions of an MBR.
    public var isExtended: Bool { ["05", "0f", "85"].contains(type) }
  }

  public var kind: Kind
  public var entries: [Entry]
  /// The GUID of a GPT, the signature of an MBR as eight hex digits; empty where there is none.
  public var identifier = ""

  /// A disk without a table.
  public static let none = PartitionTable(kind: .none, entries: [])

  /// Reads the table of a disk. Damaged tables yield what can be read of them.
  /// - Parameter size: bytes of the disk.
  public static func read(size: UInt64, sectorSize: Int, _ disk: DiskRead) -> PartitionTable {
    guard let first = DiskBytes(disk, at: 0, count: 512), first.u16(510) == 0xaa55 else { return .none }
    let primary = (0..<4).map { first.mbrEntry(446 + 16 * $0) }
    if primary.contains(where: { $0.type == 0xee }) {
      return readGPT(disk, size: size, sectorSize: UInt64(sectorSize)) ?? .none
    }
    // A boot sector of a filesystem bears the same signature; its "entries" make no sense as a table.
    let used = primary.filter { $0.type != 0 }
    let fits = used.allSatisfy { entry in
      entry.sectors > 0 && (entry.status == 0 || entry.status == 0x80)
        && (UInt64(entry.start) + 1) * UInt64(sectorSize) <= size
    }
    guard !used.isEmpty, fits else { return .none }
    let signature = String(first.u32(440), radix: 16)
    return PartitionTable(
      kind: .dos, entries: readMBR(disk, primary, sectorSize: UInt64(sectorSize)),
      identifier: first.u32(440) == 0 ? "" : String(repeating: "0", count: 8 - signature.count) + signature)
  }

  private static func readMBR(
    _ disk: DiskRead, _ primary: [DiskBytes.MBREntry], sectorSize: UInt64
  ) -> [Entry] {
    var entries: [Entry] = []
    for (index, entry) in primary.enumerated() where entry.type != 0 {
      entries.append(Self.entry(index + 1, entry, base: 0, sectorSize))
    }
    guard let extended = primary.first(where: { isExtended($0.type) }) else { return entries }
    // Logical partitions: each table names one, and where the next table is.
    let base = UInt64(extended.start)
    var next = base
    for number in 5..<133 {
      guard let table = DiskBytes(disk, at: next * sectorSize, count: 512), table.u16(510) == 0xaa55 else { break }
      let logical = table.mbrEntry(446)
      if logical.type != 0 { entries.append(Self.entry(number, logical, base: next, sectorSize)) }
      let link = table.mbrEntry(462)
      guard link.type != 0, link.start != 0 else { break }
      next = base + UInt64(link.start)
    }
    return entries
  }

  private static func isExtended(_ type: UInt8) -> Bool { type == 0x05 || type == 0x0f || type == 0x85 }

  private static func entry(
    _ number: Int, _ raw: DiskBytes.MBREntry, base: UInt64, _ sectorSize: UInt64
  ) -> Entry {
    Entry(
      number: number, start: (base + UInt64(raw.start)) * sectorSize, size: UInt64(raw.sectors) * sectorSize,
      type: hex(raw.type))
  }

  private static func readGPT(_ disk: DiskRead, size: UInt64, sectorSize: UInt64) -> PartitionTable? {
    // The second copy stands in the last sector.
    let copies = [sectorSize, size / sectorSize * sectorSize &- sectorSize]
    for place in copies {
      guard let header = DiskBytes(disk, at: place, count: 512), header.text(0, 8) == "EFI PART" else { continue }
      let (first, count, width) = (header.u64(72), Int(header.u32(80)), Int(header.u32(84)))
      guard count <= 1024, width >= 128, width <= 4096, first < size / sectorSize,
        let table = DiskBytes(disk, at: first * sectorSize, count: count * width)
      else { continue }
      var entries: [Entry] = []
      for index in 0..<count {
        let at = index * width
        let (start, last) = (table.u64(at + 32), table.u64(at + 40))
        guard !table.isZero(at, 16), start <= last, last < size / sectorSize else { continue }
        entries.append(
          Entry(
            number: index + 1, start: start * sectorSize, size: (last - start + 1) * sectorSize, type: table.guid(at),
            uuid: table.guid(at + 16)))
      }
      return PartitionTable(kind: .gpt, entries: entries, identifier: header.guid(56))
    }
    return nil
  }
}

/// Two lower-case hex digits.
private func hex(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16)
  return digits.count == 1 ? "0" + digits : digits
}
