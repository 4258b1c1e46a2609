internal import Blocks

/// A few bytes of a disk, read as the little-endian numbers, names and identifiers that on-disk formats hold.
struct DiskBytes {
  private let bytes: [UInt8]

  /// Nil where the disk does not have these bytes.
  init?(_ disk: some BlockReader, at offset: UInt64, count: Int) {
    // Whole pages around them, as direct reads want.
    let start = offset / 4096 * 4096
    let end = min((offset + UInt64(count) + 4095) / 4096 * 4096, disk.size)
    guard count > 0, offset + UInt64(count) <= end, start < end else { return nil }
    var read = [UInt8](repeating: 0, count: Int(end - start))
    do throws(BlockError) {
      var span = read.mutableSpan
      var raw = span.mutableBytes
      try disk.read(into: &raw, at: start)
    } catch {
      return nil
    }
    bytes = Array(read[Int(offset - start)..<Int(offset - start) + count])
  }

  func u8(_ offset: Int) -> UInt8 { bytes[offset] }
  func u16(_ offset: Int) -> UInt16 { UInt16(number(offset, 2)) }
  func u32(_ offset: Int) -> UInt32 { UInt32(number(offset, 4)) }
  func u64(_ offset: Int) -> UInt64 { number(offset, 8) }

  private func number(_ offset: Int, _ count: Int) -> UInt64 {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Bytes as characters, without trailing zeros.
  func text(_ offset: Int, _ count: Int) -> String {
    String(decoding: bytes[offset..<offset + count].prefix { $0 != 0 }, as: UTF8.self)
  }

  func isZero(_ offset: Int, _ count: Int) -> Bool { bytes[offset..<offset + count].allSatisfy { $0 == 0 } }

  /// Sixteen bytes as a UUID in their order.
  func uuid(_ offset: Int) -> String { dashed((0..<16).map { bytes[offset + $0] }) }

  /// Sixteen bytes as a GUID: the first three groups are little-endian.
  func guid(_ offset: Int) -> String {
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
