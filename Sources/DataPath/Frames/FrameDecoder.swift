public import NIOCore

/// Reads frames of a session. Every bound is checked before anything is allocated for what it bounds, so a hostile frame
/// costs at most a table of 1,024 extents and 4 MiB.
public struct FrameDecoder: Sendable {
  private let sizes: [UInt64]

  /// - Parameter sizes: bytes of each disk, in the order of the session's list.
  public init(sizes: [UInt64]) { self.sizes = sizes }

  /// Bytes of payload that the header declares: what decoding will hold beside the body.
  ///
  /// - Throws: what `decode` would throw for the header.
  public static func declaredPayload(of body: ByteBuffer) throws(FrameError) -> Int { try Header(body).payload }

  /// - Throws: the first fault found.
  public func decode(_ body: ByteBuffer) throws(FrameError) -> Frame {
    let header = try Header(body)
    var rest = body
    rest.moveReaderIndex(forwardBy: FrameFormat.headerSize)
    var extents: [FrameExtent] = []
    extents.reserveCapacity(header.extents)
    for index in 0..<header.extents { extents.append(try extent(index, from: &rest)) }
    let data = extents.reduce(0 as UInt64) { $1.kind == .data ? $0 + UInt64($1.range.count) : $0 }
    guard data == header.payload else { throw .payloadMismatch(declared: header.payload, extents: data) }
    let zeros = extents.reduce(0 as UInt64) { $1.kind == .zero ? $0 + UInt64($1.range.count) : $0 }
    guard zeros <= UInt64(FrameFormat.maximumZeroTotal) else { throw .tooManyZeros(bytes: zeros) }
    try Self.refuseOverlaps(extents)
    return Frame(extents: extents, payload: try Self.payload(rest, header: header))
  }

  private func extent(_ index: Int, from rest: inout ByteBuffer) throws(FrameError) -> FrameExtent {
    guard
      let (disk, rawKind, reserved, length, offset) = rest.readMultipleIntegers(
        endianness: .little, as: (UInt16, UInt8, UInt8, UInt32, UInt64).self)
    else { throw .truncated(bytes: rest.readableBytes, wanted: FrameFormat.extentSize) }
    guard let kind = FrameExtent.Kind(rawValue: rawKind) else { throw .unknownKind(rawKind, extent: index) }
    guard reserved == 0 else { throw .reservedByte(reserved, extent: index) }
    guard Int(disk) < sizes.count else { throw .noSuchDisk(disk, extent: index) }
    let limit = kind == .data ? FrameFormat.maximumPayload : FrameFormat.maximumZero
    guard 1...limit ~= Int(length) else { throw .extentLength(length, extent: index) }
    let (end, overflow) = offset.addingReportingOverflow(UInt64(length))
    guard !overflow, end <= sizes[Int(disk)] else { throw .outOfRange(extent: index) }
    let granule = UInt64(FrameFormat.granule)
    guard offset.isMultiple(of: granule), end.isMultiple(of: granule) || end == sizes[Int(disk)] else {
      throw .misaligned(extent: index)
    }
    return FrameExtent(disk: disk, kind: kind, range: offset..<end)
  }

  private static func refuseOverlaps(_ extents: [FrameExtent]) throws(FrameError) {
    let sorted = extents.sorted { ($0.disk, $0.range.lowerBound) < ($1.disk, $1.range.lowerBound) }
    for (a, b) in zip(sorted, sorted.dropFirst()) where a.disk == b.disk && a.range.upperBound > b.range.lowerBound {
      throw .overlap(disk: b.disk, offset: b.range.lowerBound)
    }
  }

  private static func payload(_ rest: ByteBuffer, header: Header) throws(FrameError) -> ByteBuffer {
    if header.isCompressed { return try Decompressor.decompress(rest, length: header.payload) }
    guard rest.readableBytes >= header.payload else {
      throw .truncated(bytes: rest.readableBytes, wanted: header.payload)
    }
    guard rest.readableBytes == header.payload else { throw .trailingBytes(rest.readableBytes - header.payload) }
    return rest
  }

  /// The fixed header, checked.
  private struct Header {
    var isCompressed: Bool
    var extents: Int
    var payload: Int

    init(_ body: ByteBuffer) throws(FrameError) {
      guard body.readableBytes <= FrameFormat.maximumBody else { throw .tooLarge(bytes: body.readableBytes) }
      var body = body
      let total = body.readableBytes
      guard
        let (magic, flags, count, length) = body.readMultipleIntegers(
          endianness: .little, as: (UInt32, UInt32, UInt32, UInt32).self)
      else { throw .truncated(bytes: total, wanted: FrameFormat.headerSize) }
      guard magic == FrameFormat.magic else { throw .wrongMagic(magic) }
      guard flags & ~FrameFormat.compressed == 0 else { throw .unknownFlags(flags) }
      guard 1...UInt32(FrameFormat.maximumExtents) ~= count else { throw .extentCount(count) }
      guard length <= UInt32(FrameFormat.maximumPayload) else { throw .payloadLength(length) }
      (isCompressed, extents, payload) = (flags == FrameFormat.compressed, Int(count), Int(length))
      guard !isCompressed || payload > 0 else { throw .notCompressed("there is no payload") }
      let table = FrameFormat.headerSize + extents * FrameFormat.extentSize
      guard total >= table else { throw .truncated(bytes: total, wanted: table) }
    }
  }
}
