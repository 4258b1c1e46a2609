import Frames
import HTTPTypes
import HummingbirdCore
import NIOCore
import Wire

/// The body of a request, with a hard bound.
enum RequestBytes {
  /// Bytes the body will have at most.
  ///
  /// - Throws: `too_large`.
  static func length(of request: Request) throws(Problem) -> Int {
    guard let field = request.headers[.contentLength] else { return FrameFormat.maximumBody }
    guard let length = Int(field), length >= 0 else { throw .badRequest("bad_request", "the length is not a number") }
    guard length <= FrameFormat.maximumBody else { throw .tooLarge(FrameFormat.maximumBody) }
    return length
  }

  /// The whole body.
  ///
  /// - Throws: `too_large` as soon as it is longer than allowed.
  static func collect(_ request: Request) async throws -> ByteBuffer {
    let expected = request.headers[.contentLength] == nil ? 0 : try length(of: request)
    var body = ByteBufferAllocator().buffer(capacity: expected)
    for try await var piece in request.body {
      guard body.readableBytes + piece.readableBytes <= FrameFormat.maximumBody else {
        throw Problem.tooLarge(FrameFormat.maximumBody)
      }
      body.writeBuffer(&piece)
    }
    return body
  }
}
