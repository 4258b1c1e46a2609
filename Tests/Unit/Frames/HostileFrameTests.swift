import Frames
import NIOCore
import Testing

@Suite struct HostileFrameTests {
  static let sizes: [UInt64] = [8 << 20, (1 << 20) + 5000]
  private let decoder = FrameDecoder(sizes: Self.sizes)

  /// A frame written by hand, right or wrong.
  private func raw(
    magic: UInt32 = 0x3146_5747, flags: UInt32 = 0, count: UInt32? = nil, payload: UInt32? = nil,
    _ extents: [(disk: UInt16, kind: UInt8, reserved: UInt8, length: UInt32, offset: UInt64)], _ bytes: [UInt8] = []
  ) -> ByteBuffer {
    var body = ByteBuffer()
    body.writeMultipleIntegers(
      magic, flags, count ?? UInt32(extents.count), payload ?? UInt32(bytes.count), endianness: .little)
    for extent in extents {
      body.writeMultipleIntegers(
        extent.disk, extent.kind, extent.reserved, extent.length, extent.offset, endianness: .little)
    }
    body.writeBytes(bytes)
    return body
  }

  private func refusal(_ body: ByteBuffer) -> FrameError? {
    do throws(FrameError) {
      _ = try decoder.decode(body)
      return nil
    } catch { return error }
  }

  @Test func `each fault of the header has its own error`() {
    let page: [UInt8] = Array(repeating: 9, count: 4096)
    #expect(refusal(raw([(0, 3, 0, 4096, 0)], page)) == nil)
    #expect(refusal(ByteBuffer()) == .truncated(bytes: 0, wanted: 16))
    #expect(refusal(raw(magic: 1, [(0, 2, 0, 4096, 0)])) == .wrongMagic(1))
    #expect(refusal(raw(flags: 2, [(0, 2, 0, 4096, 0)])) == .unknownFlags(2))
    #expect(refusal(raw([])) == .extentCount(0))
    #expect(refusal(raw(count: 1025, [(0, 2, 0, 4096, 0)])) == .extentCount(1025))
    #expect(refusal(raw(count: .max, [(0, 2, 0, 4096, 0)])) == .extentCount(.max))
    #expect(refusal(raw(count: 2, [(0, 2, 0, 4096, 0)])) == .truncated(bytes: 32, wanted: 48))
    #expect(refusal(raw(payload: .max, [(0, 3, 0, 4096, 0)])) == .payloadLength(.max))
    #expect(refusal(raw([(0, 3, 0, 4096, 0)], page + [1])) == .payloadMismatch(declared: 4097, extents: 4096))
    #expect(refusal(raw(payload: 4096, [(0, 3, 0, 4096, 0)], page + [1])) == .trailingBytes(1))
    #expect(
      refusal(raw(payload: 4096, [(0, 3, 0, 4096, 0)], page.dropLast())) == .truncated(bytes: 4095, wanted: 4096))
    #expect(refusal(ByteBuffer(repeating: 0, count: 5 << 20)) == .tooLarge(bytes: 5 << 20))
  }

  @Test func `each fault of an extent has its own error`() {
    #expect(refusal(raw([(0, 1, 0, 4096, 0)])) == .unknownKind(1, extent: 0))
    #expect(refusal(raw([(0, 2, 7, 4096, 0)])) == .reservedByte(7, extent: 0))
    #expect(refusal(raw([(2, 2, 0, 4096, 0)])) == .noSuchDisk(2, extent: 0))
    #expect(refusal(raw([(0, 2, 0, 0, 0)])) == .extentLength(0, extent: 0))
    #expect(refusal(raw([(0, 2, 0, .max, 0)])) == .extentLength(.max, extent: 0))
    #expect(refusal(raw([(0, 3, 0, (4 << 20) + 4096, 0)])) == .extentLength((4 << 20) + 4096, extent: 0))
    #expect(refusal(raw([(0, 2, 0, 4096, 8 << 20)])) == .outOfRange(extent: 0))
    #expect(refusal(raw([(0, 2, 0, 8192, (8 << 20) - 4096)])) == .outOfRange(extent: 0))
    #expect(refusal(raw([(0, 2, 0, 8192, .max - 4095)])) == .outOfRange(extent: 0))
    #expect(refusal(raw([(0, 2, 0, 4096, 512)])) == .misaligned(extent: 0))
    #expect(refusal(raw([(0, 2, 0, 512, 0)])) == .misaligned(extent: 0))
    // Ends at the disk's end, so its length may be anything; its offset may not.
    #expect(refusal(raw([(1, 2, 0, 5000, 1 << 20)])) == nil)
    #expect(refusal(raw([(1, 2, 0, 4488, (1 << 20) + 512)])) == .misaligned(extent: 0))
    #expect(
      refusal(raw([(0, 2, 0, 4096, 8192), (1, 2, 0, 4096, 0), (0, 2, 0, 8192, 4096)]))
        == .overlap(disk: 0, offset: 8192))
  }

  @Test func `a frame of zeros cannot lock a whole large disk`() {
    let decoder = FrameDecoder(sizes: [1 << 40])
    let zeros = (0..<5).map {
      (disk: UInt16(0), kind: UInt8(2), reserved: UInt8(0), length: UInt32(1) << 30, offset: UInt64($0) << 30)
    }
    #expect(throws: FrameError.tooManyZeros(bytes: 5 << 30)) { _ = try decoder.decode(raw(zeros)) }
    #expect(throws: Never.self) { _ = try decoder.decode(raw(Array(zeros.prefix(4)))) }
  }

  @Test func `a bomb stops at the declared length`() throws {
    // 64 MiB of zeros in one zstd frame, behind a header that declares one page.
    var small = try FrameEncoder([FrameExtent(disk: 0, kind: .data, range: 0..<4 << 20)], compression: .zstd(level: 1))
    try small.append([UInt8](repeating: 0, count: 4 << 20).span.bytes)
    let bomb = try small.finish()
    #expect(bomb.readableBytes < 8192)
    let compressed = Array(bomb.readableBytesView.dropFirst(32))
    #expect(
      refusal(raw(flags: 1, payload: 4096, [(0, 3, 0, 4096, 0)], compressed)) == .decompressedLength(declared: 4096))
    // The same without the length in its header: 0xFD2FB528, no content size, window 4 MiB, 40 RLE blocks of 128 KiB.
    var hidden: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x60]
    for block in 0..<40 {
      let header = UInt32(128 << 10) << 3 | 1 << 1 | (block == 39 ? 1 : 0)
      hidden += [UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16), 0xAA]
    }
    #expect(
      refusal(raw(flags: 1, payload: 4 << 20, [(0, 3, 0, 4 << 20, 0)], hidden))
        == .decompressedLength(declared: 4 << 20))
    // Fewer bytes than declared, and a second frame behind the first.
    let two = raw(flags: 1, payload: 4096, [(0, 3, 0, 4096, 0)], compressed + compressed)
    guard case .notCompressed = refusal(two) else {
      Issue.record("two zstd frames were taken for one")
      return
    }
  }

  @Test func `a payload that is not zstd is refused`() {
    let junk = pseudoRandom(count: 5000, seed: 3)
    // What older libraries wrote begins with 0xFD2FB527 and must not reach their decoders.
    for bytes in [junk, [0x27, 0xB5, 0x2F, 0xFD] + junk, [0x28, 0xB5, 0x2F, 0xFD] + junk, []] {
      guard case .notCompressed = refusal(raw(flags: 1, payload: 4096, [(0, 3, 0, 4096, 0)], bytes)) else {
        Issue.record("junk was taken for zstd")
        continue
      }
    }
  }

  @Test(.timeLimit(.minutes(3)))
  func `a hundred thousand mutated frames never trap, and only sound ones pass`() throws {
    var generator = SplitMix(state: 20_260_101)
    let payload = pseudoRandom(count: 4096, seed: 5) + Array(repeating: 0, count: 8192)
    let extents = [
      FrameExtent(disk: 0, kind: .data, range: 4096..<12288), FrameExtent(disk: 0, kind: .zero, range: 65536..<131072),
      FrameExtent(disk: 1, kind: .data, range: 0..<4096)
    ]
    let seeds = [try encode(extents, payload, .none), try encode(extents, payload, .zstd(level: 1))]
    var refused = 0
    for round in 0..<100_000 {
      let body = mutate(seeds[round & 1], with: &generator)
      do throws(FrameError) {
        let frame = try decoder.decode(body)
        #expect(isSound(frame))
      } catch { refused += 1 }
    }
    #expect(refused > 50_000)
  }

  private func mutate(_ seed: ByteBuffer, with generator: inout SplitMix) -> ByteBuffer {
    var bytes = Array(seed.readableBytesView)
    for _ in 0...Int.random(in: 0..<3, using: &generator) {
      // Half of the changes hit the header and the table, where they matter most.
      let limit = Bool.random(using: &generator) ? min(64, bytes.count) : bytes.count
      guard limit > 0 else { break }
      let place = Int.random(in: 0..<limit, using: &generator)
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
      case 3: bytes.removeSubrange(place...)
      default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
      }
    }
    return ByteBuffer(bytes: bytes)
  }

  private func isSound(_ frame: Frame) -> Bool {
    let data = frame.extents.filter { $0.kind == .data }.reduce(0) { $0 + $1.range.count }
    return data == frame.payload.readableBytes && data <= FrameFormat.maximumPayload
      && frame.extents.allSatisfy { Int($0.disk) < 2 && $0.range.upperBound <= Self.sizes[Int($0.disk)] }
  }
}
