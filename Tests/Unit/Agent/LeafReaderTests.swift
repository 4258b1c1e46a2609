import Blocks
import Crypto
import Frames
import NIOCore
import Replication
import Testing
import Volumes
import Wire

@testable import Source

/// A disk in memory.
struct MemoryDisk: BlockReader {
  var bytes: [UInt8]
  var size: UInt64 { UInt64(bytes.count) }
  var alignment: Int { 1 }

  func read(into target: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    guard offset + UInt64(target.byteCount) <= size else {
      throw BlockError(.outOfRange, call: "read", device: "memory", offset: offset, reason: "beyond the end")
    }
    target.withUnsafeMutableBytes { $0.copyBytes(from: bytes[Int(offset)..<Int(offset) + $0.count]) }
  }
}

@Suite struct LeafReaderTests {
  /// Four leaves and a half; leaf 2 is zero.
  static let disk: MemoryDisk = {
    var bytes = (0..<(4 * 65_536 + 32_768)).map { UInt8(truncatingIfNeeded: $0 / 7 &* 31) }
    for index in 2 * 65_536..<3 * 65_536 { bytes[index] = 0 }
    return MemoryDisk(bytes: bytes)
  }()

  static func digest(_ range: Range<Int>) -> LeafDigest? {
    LeafDigest(bytes: Array(SHA256.hash(data: disk.bytes[range])))
  }

  @Test func `whole leaves are hashed, zeros told, the last one may be short`() throws {
    let buffer = AlignedBuffer(count: 4 * 65_536)
    let records = try LeafReader(reader: Self.disk, disk: 3).read([0, 2, 3, 4], into: buffer)
    #expect(records.map(\.leaf) == [0, 2, 3, 4])
    #expect(records.map(\.kind) == [.data, .zero, .data, .data])
    #expect(records.allSatisfy { $0.disk == 3 })
    #expect(records[0].digest == Self.digest(0..<65_536))
    #expect(records[1].digest == .none)
    #expect(records[3].digest == Self.digest(4 * 65_536..<Self.disk.bytes.count))
    let leaves: [UInt64] = [0, 2, 3, 4]
    let range: Range<UInt64> = 200_704..<204_800
    let found = LeafReader.bytes(of: range, leaves: leaves, in: buffer)
    let part = try #require(found)
    #expect(Array(part) == Array(Self.disk.bytes[200_704..<204_800]))
    let missing = LeafReader.bytes(of: 65_536..<70_000, leaves: leaves, in: buffer)
    #expect(missing == nil)
  }

  @Test func `a leaf beyond the disk is an error, not a trap`() {
    let buffer = AlignedBuffer(count: 2 * 65_536)
    #expect(throws: BlockError.self) { try LeafReader(reader: Self.disk, disk: 0).read([5], into: buffer) }
  }

  @Test(arguments: [FrameEncoder.Compression.none, .zstd(level: 1)])
  func `a frame joins neighbours and leaves zeros out`(compression: FrameEncoder.Compression) throws {
    let extents = [0..<4096, 4096..<8192, 131_072..<135_168, 135_168..<139_264, 262_144..<294_912].map {
      Extent(disk: 0, range: UInt64($0.lowerBound)..<UInt64($0.upperBound))
    }
    let disk = Self.disk
    let (body, payload) = try disk.bytes.withUnsafeBytes { bytes in
      try FrameBody.encode(extents, compression: compression) { extent in
        UnsafeRawBufferPointer(rebasing: bytes[Int(extent.range.lowerBound)..<Int(extent.range.upperBound)])
      }
    }
    #expect(payload == 8192 + 32_768)
    let frame = try FrameDecoder(sizes: [disk.size]).decode(body)
    #expect(frame.extents.map(\.range) == [0..<8192, 131_072..<139_264, 262_144..<294_912])
    #expect(frame.extents.map(\.kind) == [.data, .zero, .data])
    #expect(Array(frame.payload.readableBytesView) == Array(disk.bytes[..<8192] + disk.bytes[262_144...]))
  }

  @Test func `an instant keeps the bytes of its extents and the records of their leaves`() throws {
    let ranges: [Range<UInt64>] = [4096..<8192, 61_440..<139_264, 262_144..<294_912]
    let source = SyncDisk(name: "memory", reader: Self.disk, block: 4096)
    let instant = try CapturedInstant.read(
      ranges.map { Extent(disk: 0, range: $0) }, from: [source], scratch: AlignedBuffer(count: 2 * 65_536))
    #expect(instant.records.map(\.leaf) == [0, 1, 2, 4])
    #expect(instant.records[1].digest == Self.digest(65_536..<131_072))
    for range in ranges + [65_536..<131_072, 135_168..<139_264] {
      let found = instant.bytes(of: Extent(disk: 0, range: range))
      let bytes = try #require(found)
      let expected = Self.disk.bytes[Int(range.lowerBound)..<Int(range.upperBound)]
      #expect(Array(bytes) == Array(expected))
    }
    #expect(instant.bytes(of: Extent(disk: 0, range: 0..<4096)) == nil)
    #expect(instant.bytes(of: Extent(disk: 0, range: 4096..<12_288)) == nil)
    #expect(instant.bytes(of: Extent(disk: 1, range: 4096..<8192)) == nil)
  }
}
