public import NIOCore

/// Builds one frame: the table first, then the payload piece by piece, copied or compressed once on its way.
///
/// ```swift
/// var encoder = try FrameEncoder(extents, compression: .zstd(level: 1))
/// try encoder.append(buffer.unsafeBytes.bytes)   // the data extents' bytes in the order of the table
/// let body = try encoder.finish()
/// ```
public struct FrameEncoder {
  public enum Compression: Hashable, Sendable {
    case none
    /// Level 1 is the fastest.
    case zstd(level: Int32)
  }

  private var body: ByteBuffer
  private let declared: Int
  private var appended = 0
  private var compressor: Compressor?

  /// - Throws: `FrameError` where the extents could not make a frame. Whether they lie on the disk, and do not overlap,
  ///   only the decoder checks.
  public init(_ extents: [FrameExtent], compression: Compression = .none) throws(FrameError) {
    declared = try Self.payload(of: extents)
    if case .zstd(let level) = compression, declared > 0 {
      compressor = try Compressor(level: level, length: declared)
    } else {
      compressor = nil
    }
    let table = FrameFormat.headerSize + FrameFormat.extentSize * extents.count
    body = ByteBufferAllocator().buffer(capacity: table + (compressor == nil ? declared : declared / 2))
    body.writeMultipleIntegers(
      FrameFormat.magic, compressor == nil ? UInt32(0) : FrameFormat.compressed, UInt32(extents.count),
      UInt32(declared), endianness: .little)
    for extent in extents {
      let length = UInt32(extent.range.upperBound - extent.range.lowerBound)
      body.writeMultipleIntegers(
        extent.disk, extent.kind.rawValue, UInt8(0), length, extent.range.lowerBound, endianness: .little)
    }
  }

  /// Bytes of payload that `extents` call for.
  private static func payload(of extents: [FrameExtent]) throws(FrameError) -> Int {
    guard 1...FrameFormat.maximumExtents ~= extents.count else { throw .extentCount(UInt32(clamping: extents.count)) }
    var (payload, zeros): (UInt64, UInt64) = (0, 0)
    for (index, extent) in extents.enumerated() {
      let limit = extent.kind == .data ? FrameFormat.maximumPayload : FrameFormat.maximumZero
      let length = extent.range.upperBound - extent.range.lowerBound
      guard 1...UInt64(limit) ~= length else { throw .extentLength(UInt32(clamping: length), extent: index) }
      if extent.kind == .data { payload += length } else { zeros += length }
    }
    guard payload <= FrameFormat.maximumPayload else { throw .payloadLength(UInt32(clamping: payload)) }
    guard zeros <= FrameFormat.maximumZeroTotal else { throw .tooManyZeros(bytes: zeros) }
    return Int(payload)
  }

  /// Adds the next bytes of the payload; pieces need not match extents.
  public mutating func append(_ bytes: RawSpan) throws(FrameError) {
    appended += bytes.byteCount
    guard appended <= declared else { throw .payloadMismatch(declared: appended, extents: UInt64(declared)) }
    if let compressor {
      try compressor.compress(bytes, last: appended == declared, into: &body)
    } else {
      bytes.withUnsafeBytes { _ = body.writeBytes($0) }
    }
  }

  /// The encoded frame.
  ///
  /// - Throws: `.payloadMismatch` when not all of the payload was appended.
  public func finish() throws(FrameError) -> ByteBuffer {
    guard appended == declared else { throw .payloadMismatch(declared: appended, extents: UInt64(declared)) }
    return body
  }
}
