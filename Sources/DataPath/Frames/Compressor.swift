import CZstd
import NIOCore

/// One zstd frame in the making.
final class Compressor {
  private let context: OpaquePointer

  /// - Parameter length: bytes that will be compressed in all.
  init(level: Int32, length: Int) throws(FrameError) {
    guard let context = ZSTD_createCCtx() else { throw .notCompressed("no memory for a zstd context") }
    self.context = context
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    _ = ZSTD_CCtx_setPledgedSrcSize(context, UInt64(length))
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Compresses all of `bytes` to the end of `buffer`; `last` ends the frame.
  func compress(_ bytes: RawSpan, last: Bool, into buffer: inout ByteBuffer) throws(FrameError) {
    let context = context
    let failure = bytes.withUnsafeBytes { source -> String? in
      var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
      while true {
        var left = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 128 << 10) { room in
          var output = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
          left = ZSTD_compressStream2(context, &output, &input, last ? ZSTD_e_end : ZSTD_e_continue)
          return output.pos
        }
        if ZSTD_isError(left) != 0 { return String(cString: ZSTD_getErrorName(left)) }
        if input.pos == input.size, !last || left == 0 { return nil }
      }
    }
    if let failure { throw .notCompressed(failure) }
  }
}
