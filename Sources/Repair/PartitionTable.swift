/// The partitions of an MBR or GPT disk. Every number on it is untrusted.
struct PartitionTable: Sendable {
  enum Kind: String, Sendable { case gpt, dos, none }

  private(set) var kind = Kind.none
  private(set) var partitions: [BlockInventory.Partition] = []

  private let size: UInt64
  private let sectorSize: UInt64

  /// - Parameter read: bytes at an offset of the disk; fewer than asked at its end.
  init(size: UInt64, sectorSize: UInt64, read: (UInt64, Int) -> [UInt8]) {
    self.size = size
    self.sectorSize = sectorSize
    let first = read(0, 512)
    guard first.count == 512, first[510] == 0x55, first[511] == 0xaa else { return }
    let slots = Self.slots(first)
    if slots.contains(where: { $0.type == 0xee }) {
      readGPT(read)
    } else if slots.allSatisfy({ $0.status & 0x7f == 0 }), slots.contains(where: { $0.type != 0 }) {
      readMBR(slots, read)
    }
  }

  private struct Slot {
    var status: UInt8
    var type: UInt8
    var start: UInt64
    var count: UInt64
    var isExtended: Bool { [0x05, 0x0f, 0x85].contains(type) }
  }

  private static func slots(_ sector: [UInt8]) -> [Slot] {
    (0..<4).map { index in
      let base = 446 + 16 * index
      return Slot(
        status: sector[base], type: sector[base + 4], start: sector.littleEndian(at: base + 8, count: 4),
        count: sector.littleEndian(at: base + 12, count: 4))
    }
  }

  private mutating func readMBR(_ slots: [Slot], _ read: (UInt64, Int) -> [UInt8]) {
    kind = .dos
    for (index, slot) in slots.enumerated() where slot.type != 0 && !slot.isExtended {
      add(index + 1, slot.start, slot.count, type: Self.hex(slot.type))
    }
    guard let extended = slots.first(where: \.isExtended) else { return }
    var next = extended.start
    for number in 5..<64 {
      let sector = read(next * sectorSize, 512)
      guard sector.count == 512, sector[510] == 0x55, sector[511] == 0xaa else { return }
      let links = Self.slots(sector)
      if links[0].type != 0 { add(number, next + links[0].start, links[0].count, type: Self.hex(links[0].type)) }
      guard links[1].isExtended, links[1].start > 0 else { return }
      next = extended.start + links[1].start
    }
  }

  private mutating func readGPT(_ read: (UInt64, Int) -> [UInt8]) {
    let header = read(sectorSize, 92)
    guard header.count == 92, header.prefix(8).elementsEqual("EFI PART".utf8) else { return }
    kind = .gpt
    let table = header.littleEndian(at: 72, count: 8)
    let count = min(header.littleEndian(at: 80, count: 4), 256)
    let entrySize = header.littleEndian(at: 84, count: 4)
    guard (128...4096).contains(entrySize), table < size / sectorSize else { return }
    for index in 0..<count {
      let entry = read(table * sectorSize + index * entrySize, 128)
      guard entry.count == 128 else { return }
      guard entry.prefix(16).contains(where: { $0 != 0 }) else { continue }
      let (first, last) = (entry.littleEndian(at: 32, count: 8), entry.littleEndian(at: 40, count: 8))
      guard last >= first, last < size / sectorSize else { continue }
      add(
        Int(index) + 1, first, last - first + 1, type: Self.guid(Array(entry.prefix(16))),
        uuid: Self.guid(Array(entry[16..<32])))
    }
  }

  private mutating func add(_ number: Int, _ start: UInt64, _ count: UInt64, type: String, uuid: String = "") {
    guard start > 0, start <= size / sectorSize else { return }
    partitions.append(
      BlockInventory.Partition(
        number: number, start: start * sectorSize, size: count * sectorSize, type: type, uuid: uuid,
        content: nil))
  }

  private static func hex(_ byte: UInt8) -> String { [byte].hexadecimal }

  /// The first three groups of a GUID are stored little-endian.
  private static func guid(_ bytes: [UInt8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    return order.map { bytes[$0] }.dashed
  }
}

extension [UInt8] {
  func littleEndian(at offset: Int, count: Int) -> UInt64 {
    self[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  var hexadecimal: String {
    map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  /// Sixteen bytes as a UUID is written.
  var dashed: String {
    var text = hexadecimal
    for offset in [20, 16, 12, 8] { text.insert("-", at: text.index(text.startIndex, offsetBy: offset)) }
    return text
  }
}
