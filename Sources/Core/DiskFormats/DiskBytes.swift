/// Reads bytes of a disk or device: an offset and how many. Fewer come back at its end, or where it cannot be read.
public typealias DiskRead = (_ offset: UInt64, _ count: Int) -> [UInt8]

/// A few bytes of a disk, read as the little-endian numbers, names and identifiers that on-disk formats hold.
public struct DiskBytes {
  private let bytes: [UInt8]

  /// Nil where the disk does not have these bytes.
  public init?(_ read: DiskRead, at offset: UInt64, count: Int) {
    bytes = read(offset, count)
    if count <= 0 || bytes.count != count { return nil }
  }

  public func u8(_ offset: Int) -> UInt8 { bytes[offset] }
  public func u16(_ offset: Int) -> UInt16 { UInt16(number(offset, 2)) }
  public func u32(_ offset: Int) -> UInt32 { UInt32(number(offset, 4)) }
  public func u64(_ offset: Int) -> UInt64 { number(offset, 8) }

  private func number(_ offset: Int, _ count: Int) -> UInt64 {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Bytes as characters, without trailing zeros.
  public func text(_ offset: Int, _ count: Int) -> String {
    String(decoding: bytes[offset..<offset + count].prefix { $0 != 0 }, as: UTF8.self)
  }

  /// A label: ends at a zero, spaces behind it do not count.
  public func label(_ offset: Int, _ count: Int) -> String {
    var bytes = bytes[offset..<offset + count].prefix { $0 != 0 }
    while bytes.last == UInt8(ascii: " ") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  public func isZero(_ offset: Int, _ count: Int) -> Bool { bytes[offset..<offset + count].allSatisfy { $0 == 0 } }

  /// Sixteen bytes as a UUID in their order.
  public func uuid(_ offset: Int) -> String { dashed((0..<16).map { bytes[offset + $0] }) }

  /// Sixteen bytes as a GUID: the first three groups are little-endian.
  public func guid(_ offset: Int) -> String {
    dashed([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map { bytes[offset + $0] })
  }

  private func dashed(_ bytes: [UInt8]) -> String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
  }

  struct MBREntry {
    var status: UInt8
    var type: UInt8
    /// Sectors.
    var start: UInt32
    var sectors: UInt32
  }

  func mbrEntry(_ offset: Int) -> MBREntry {
    MBREntry(status: u8(offset), type: u8(offset + 4), start: u32(offset + 8), sectors: u32(offset + 12))
  }
}
