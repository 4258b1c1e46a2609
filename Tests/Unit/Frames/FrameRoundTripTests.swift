import Frames
import NIOCore
import Testing

@Suite struct FrameRoundTripTests {
  static let sizes: [UInt64] = [8 << 20, (1 << 20) + 5000, 4 << 30]

  @Test(arguments: [FrameEncoder.Compression.none, .zstd(level: 1), .zstd(level: 9)])
  func `what is encoded comes out again`(_ compression: FrameEncoder.Compression) throws {
    let bytes = pseudoRandom(count: 4096 * 3 + 904, seed: 7)
    let extents = [
      FrameExtent(disk: 0, kind: .data, range: 8192..<16384),
      FrameExtent(disk: 2, kind: .zero, range: 0..<1 << 30),
      FrameExtent(disk: 0, kind: .zero, range: 0..<8192),
      // Ends at the disk's end, which is no multiple of 4,096.
      FrameExtent(disk: 1, kind: .data, range: 1_048_576..<1_053_576)
    ]
    let payload = Array(bytes.prefix(8192 + 5000))
    let body = try encode(extents, payload, compression)
    let frame = try FrameDecoder(sizes: Self.sizes).decode(body)
    #expect(frame.extents == extents)
    var seen: [[UInt8]] = []
    frame.forEachExtent { _, span in seen.append(span.withUnsafeBytes { Array($0) }) }
    #expect(seen == [Array(payload.prefix(8192)), [], [], Array(payload.dropFirst(8192))])
    #expect(try FrameDecoder.declaredPayload(of: body) == payload.count)
  }

  @Test(arguments: [FrameEncoder.Compression.none, .zstd(level: 1)])
  func `the largest frame fits the bound, also when it does not compress`(
    _ compression: FrameEncoder.Compression
  ) throws {
    let count = FrameFormat.maximumExtents
    let extents = (0..<count).map { index in
      FrameExtent(disk: 0, kind: .data, range: UInt64(index) * 8192..<UInt64(index) * 8192 + 4096)
    }
    let payload = pseudoRandom(count: FrameFormat.maximumPayload, seed: 1)
    let body = try encode(extents, payload, compression)
    #expect(body.readableBytes <= FrameFormat.maximumBody)
    #expect(try FrameDecoder(sizes: Self.sizes).decode(body).payload == ByteBuffer(bytes: payload))
  }

  @Test func `the bytes on the wire are those of the document`() throws {
    let body = try encode([FrameExtent(disk: 1, kind: .zero, range: 4096..<8192)], [], .none)
    let wire: [UInt8] = [
      0x47, 0x57, 0x46, 0x31, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
      1, 0, 2, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0
    ]
    #expect(Array(body.readableBytesView) == wire)
  }

  @Test func `an encoder refuses what no decoder would take`() throws {
    let large = FrameExtent(disk: 0, kind: .data, range: 0..<(4 << 20) + 4096)
    #expect(throws: FrameError.extentLength((4 << 20) + 4096, extent: 0)) { try encode([large], [], .none) }
    #expect(throws: FrameError.extentCount(0)) { try encode([], [], .none) }
    let page = FrameExtent(disk: 0, kind: .data, range: 0..<4096)
    #expect(throws: FrameError.payloadMismatch(declared: 10, extents: 4096)) {
      try encode([page], Array(repeating: 1, count: 10), .none)
    }
    #expect(throws: FrameError.payloadMismatch(declared: 4097, extents: 4096)) {
      try encode([page], Array(repeating: 1, count: 4097), .zstd(level: 1))
    }
  }
}

/// Bytes that do not compress, the same for the same seed.
func pseudoRandom(count: Int, seed: UInt64) -> [UInt8] {
  var generator = SplitMix(state: seed)
  return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
}

func encode(
  _ extents: [FrameExtent], _ payload: [UInt8], _ compression: FrameEncoder.Compression
) throws(FrameError) -> ByteBuffer {
  var encoder = try FrameEncoder(extents, compression: compression)
  // In pieces of an odd size, as a reader may deliver them.
  var rest = payload[...]
  while !rest.isEmpty {
    let piece = Array(rest.prefix(70_001))
    try encoder.append(piece.span.bytes)
    rest = rest.dropFirst(70_001)
  }
  return try encoder.finish()
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
