import CZstd
import NIOCore

enum Decompressor {
  /// The first four bytes of a zstd frame; other formats that the library knows are refused.
  private static let magic: UInt32 = 0xFD2F_B528

  /// Decompresses the one zstd frame that `compressed` is to exactly `length` bytes. Allocates `length` bytes and the
  /// library's fixed context, whatever the frame claims; stops at `length`.
  static func decompress(_ compressed: ByteBuffer, length: Int) throws(FrameError) -> ByteBuffer {
    guard compressed.getInteger(at: compressed.readerIndex, endianness: .little, as: UInt32.self) == magic else {
      throw .notCompressed("it does not begin like one")
    }
    try compressed.withUnsafeReadableBytes { source throws(FrameError) in
      let frame = ZSTD_findFrameCompressedSize(source.baseAddress, source.count)
      guard ZSTD_isError(frame) == 0 else { throw .notCompressed(String(cString: ZSTD_getErrorName(frame))) }
      guard frame == source.count else { throw .notCompressed("\(source.count - frame) bytes follow it") }
      let content = ZSTD_getFrameContentSize(source.baseAddress, source.count)
      // All ones and one less say "unknown" and "error"; the macros do not reach Swift.
      guard content == UInt64(length) || content == .max else { throw .decompressedLength(declared: length) }
    }
    var output = ByteBufferAllocator().buffer(capacity: length)
    var outcome = 0
    output.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { room in
      compressed.withUnsafeReadableBytes { source in
        outcome = ZSTD_decompress(room.baseAddress, length, source.baseAddress, source.count)
      }
      return ZSTD_isError(outcome) == 0 ? outcome : 0
    }
    if ZSTD_isError(outcome) != 0 {
      guard ZSTD_getErrorCode(outcome) != ZSTD_error_dstSize_tooSmall else {
        throw .decompressedLength(declared: length)
      }
      throw .notCompressed(String(cString: ZSTD_getErrorName(outcome)))
    }
    guard outcome == length else { throw .decompressedLength(declared: length) }
    return output
  }
}
