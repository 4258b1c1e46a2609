/// Why a frame was refused. Extents are named by their place in the frame's table.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The body is longer than a frame may be.
  case tooLarge(bytes: Int)
  /// The body ends within the header, the table or the payload.
  case truncated(bytes: Int, wanted: Int)
  /// The body goes on after the payload.
  case trailingBytes(Int)
  case wrongMagic(UInt32)
  case unknownFlags(UInt32)
  case extentCount(UInt32)
  /// The declared payload is longer than a frame may carry.
  case payloadLength(UInt32)
  case unknownKind(UInt8, extent: Int)
  case reservedByte(UInt8, extent: Int)
  case noSuchDisk(UInt16, extent: Int)
  /// An extent of no bytes, or of more than its kind may have.
  case extentLength(UInt32, extent: Int)
  case misaligned(extent: Int)
  /// The zero extents cover more than a frame may.
  case tooManyZeros(bytes: UInt64)
  /// The extent leaves the disk.
  case outOfRange(extent: Int)
  /// Two extents cover the same byte.
  case overlap(disk: UInt16, offset: UInt64)
  /// The data extents do not add up to the declared payload.
  case payloadMismatch(declared: Int, extents: UInt64)
  /// The payload is not one zstd frame, or a damaged one.
  case notCompressed(String)
  /// The payload decompresses to more or fewer bytes than declared. Nothing beyond the declared length was produced.
  case decompressedLength(declared: Int)

  /// The three classes that api/wire.md tells apart.
  public enum Refusal: Hashable, Sendable { case malformed, tooLarge, outOfRange }

  public var refusal: Refusal {
    switch self {
    case .tooLarge, .payloadLength, .tooManyZeros: .tooLarge
    case .outOfRange, .noSuchDisk: .outOfRange
    default: .malformed
    }
  }

  public var description: String {
    switch self {
    case .tooLarge(let bytes): "the frame has \(bytes) bytes; \(FrameFormat.maximumBody) are allowed"
    case .truncated(let bytes, let wanted): "the frame ends after \(bytes) bytes where \(wanted) are needed"
    case .trailingBytes(let count): "\(count) bytes follow the payload"
    case .wrongMagic(let word): "the frame begins with \(word), not with GWF1"
    case .unknownFlags(let flags): "unknown flags \(flags)"
    case .extentCount(let count): "\(count) extents; 1 to \(FrameFormat.maximumExtents) are allowed"
    case .payloadLength(let length): "a payload of \(length) bytes; \(FrameFormat.maximumPayload) are allowed"
    case .unknownKind(let kind, let extent): "extent \(extent) is of unknown kind \(kind)"
    case .reservedByte(let byte, let extent): "extent \(extent) has \(byte) where zero belongs"
    case .noSuchDisk(let disk, let extent): "extent \(extent) names disk \(disk), which the session does not have"
    case .extentLength(let length, let extent): "extent \(extent) may not have \(length) bytes"
    case .misaligned(let extent): "extent \(extent) is not a multiple of \(FrameFormat.granule) bytes"
    case .tooManyZeros(let bytes): "\(bytes) bytes of zeros; \(FrameFormat.maximumZeroTotal) are allowed"
    case .outOfRange(let extent): "extent \(extent) leaves the disk"
    case .overlap(let disk, let offset): "two extents cover byte \(offset) of disk \(disk)"
    case .payloadMismatch(let declared, let extents): "\(declared) bytes are declared, the extents say \(extents)"
    case .notCompressed(let reason): "the payload is not one sound zstd frame: \(reason)"
    case .decompressedLength(let declared): "the payload does not decompress to the declared \(declared) bytes"
    }
  }
}
