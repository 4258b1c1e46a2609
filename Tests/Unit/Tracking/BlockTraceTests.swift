import Testing

@testable import Source

@Suite("Records of the kernel's block tracer")
struct BlockTraceTests {
  /// A record as the kernel lays it out.
  static func record(_ action: UInt32, sector: UInt64, bytes: UInt32, extra: [UInt8] = []) -> [UInt8] {
    func le<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    return le(UInt32(0x6561_7407)) + le(UInt32(1)) + le(UInt64(99)) + le(sector) + le(bytes) + le(action)
      + le(UInt32(1)) + le(UInt32(7 << 20)) + le(UInt32(0)) + le(UInt16(0)) + le(UInt16(extra.count)) + extra
  }

  // Completion, with its category and that of what completed.
  private static let write: UInt32 = 8 | (1 << 7 | 1 << 1) << 16
  private static let read: UInt32 = 8 | (1 << 7 | 1) << 16
  private static let discard: UInt32 = 8 | (1 << 7 | 1 << 13 | 1 << 1) << 16
  private static let passthrough: UInt32 = 8 | (1 << 7 | 1 << 9 | 1 << 1) << 16
  private static let queuedDiscard: UInt32 = 1 | (1 << 4 | 1 << 13 | 1 << 1) << 16
  private static let message: UInt32 = 2 | (1 << 10) << 16

  private static let stream =
    record(message, sector: 0, bytes: 0, extra: Array("hello".utf8)) + record(write, sector: 8, bytes: 4096)
    + record(write | 1 << 8, sector: 80, bytes: 512, extra: Array(repeating: 7, count: 8))
    + record(read, sector: 104, bytes: 28672) + record(queuedDiscard, sector: 2048, bytes: 8192)
    + record(discard, sector: 2048, bytes: 8192) + record(passthrough, sector: .max, bytes: 512)
    + record(7 | (1 << 6 | 1 << 1) << 16, sector: 8, bytes: 4096)

  private static let events: [BlockTraceRecords.Event] = [
    .init(kind: .write, sector: 8, sectors: 8), .init(kind: .write, sector: 80, sectors: 1),
    .init(kind: .read, sector: 104, sectors: 56), .init(kind: .queuedDiscard, sector: 2048, sectors: 16),
    .init(kind: .discard, sector: 2048, sectors: 16), .init(kind: .passthroughWrite, sector: .max, sectors: 1)
  ]

  @Test("Every event is read, however the bytes are cut", arguments: [1, 3, 47, 48, 49, 100, 10_000])
  func cut(size: Int) {
    var records = BlockTraceRecords()
    var found: [BlockTraceRecords.Event] = []
    for start in stride(from: 0, to: Self.stream.count, by: size) {
      Array(Self.stream[start..<min(start + size, Self.stream.count)]).withUnsafeBytes { bytes in
        records.feed(bytes) { found.append($0) }
      }
    }
    #expect(found == Self.events)
    #expect(!records.isBroken)
  }

  @Test("What a kernel recorded is read as what was done, and adds up to what it counted")
  func recording() {
    var found: [BlockTraceRecords.Event] = []
    for file in BlockTraceRecording.files {
      var records = BlockTraceRecords()
      file.withUnsafeBytes { bytes in records.feed(bytes) { found.append($0) } }
      #expect(!records.isBroken)
    }
    func sectors(_ kind: BlockTraceRecords.Event.Kind) -> [Range<UInt64>] {
      found.filter { $0.kind == kind }.map { $0.sector..<$0.sector + $0.sectors }
        .sorted { $0.lowerBound < $1.lowerBound }
    }
    #expect(
      sectors(.write) == [8..<16, 616..<624, 2048..<2176, 16384..<18432, 131_064..<131_072])
    #expect(sectors(.write).reduce(0) { $0 + $1.count } == 2200)
    #expect(sectors(.discard) == [8192..<12288])
    #expect(sectors(.queuedDiscard) == [8192..<12288])
    #expect(sectors(.read) == Array(repeating: 104..<160, count: 3))
    #expect(sectors(.passthroughWrite) == [])
  }

  @Test("Bytes that are no record break the file for good")
  func broken() {
    var records = BlockTraceRecords()
    var found = 0
    var bytes = Self.stream
    // In the mark that begins the second record.
    bytes[54] ^= 1
    for part in [bytes, Self.stream] { part.withUnsafeBytes { records.feed($0) { _ in found += 1 } } }
    #expect(records.isBroken)
    #expect(found == 0)
  }
}
