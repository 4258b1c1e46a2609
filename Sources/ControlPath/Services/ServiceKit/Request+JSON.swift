import FoundationEssentials
import HTTPTypes
public import Hummingbird
import NIOCore
import Wire

extension Request {
  /// `limit` of a list (50 when not given, at most 200), and `after`.
  public var page: (limit: Int, after: String?) { (limit(), uri.queryParameters["after"].map(String.init)) }

  /// The query's `limit`, at least 1.
  public func limit(given usual: Int = 50, atMost most: Int = 200) -> Int {
    min(max(uri.queryParameters["limit"].flatMap { Int($0) } ?? usual, 1), most)
  }
}

extension Request {
  /// The body as JSON of `type`.
  /// - Parameter limit: bytes; a longer body is 413.
  /// - Throws: `Problem`: `too_large`, or `malformed_request` that names the field.
  public func json<Value: Decodable>(_ type: Value.Type, limit: Int = 1 << 20) async throws -> Value {
    let body = try await wholeBody(limit: limit)
    do { return try JSONDecoder().decode(type, from: Data(body.readableBytesView)) } catch let error as DecodingError {
      throw Problem.malformed("The body is not what is expected here: \(Self.describe(error)).")
    }
  }

  /// The body, all of it.
  /// - Throws: `Problem`: `too_large` for one of more than `limit` bytes.
  func wholeBody(limit: Int) async throws -> ByteBuffer {
    do { return try await body.collect(upTo: limit) } catch is NIOTooManyBytesError {
      throw Problem(
        code: "too_large", status: 413, detail: "The body is longer than \(limit) bytes.", remedy: "Send less.")
    }
  }

  private static func describe(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context) -> String {
      context.codingPath.isEmpty ? "the top" : "'" + context.codingPath.map(\.stringValue).joined(separator: ".") + "'"
    }
    return switch error {
    case .keyNotFound(let key, let context): "'\(key.stringValue)' is missing at \(path(context))"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "the value at \(path(context)) is of another type"
    case .dataCorrupted(let context): "the value at \(path(context)) is not valid"
    @unknown default: "it cannot be read"
    }
  }
}

/// An answer in JSON with a status: `return JSONAnswer(volume, status: .accepted)`.
public struct JSONAnswer: ResponseGenerator {
  private let body: Data
  private let status: HTTPResponse.Status

  public init(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws {
    (body, self.status) = (try Self.encode(value), status)
  }

  static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  /// With an ETag where a `GET` answers with the same; 304 without a body where the caller has it (`If-None-Match`).
  public func response(from request: Request, context: some RequestContext) throws -> Response {
    var headers: HTTPFields = [.contentType: "application/json", .cacheControl: "no-store"]
    if status == .ok, [.get, .head, .put, .patch].contains(request.method) {
      let tag = EntityTag.of(body)
      headers[.eTag] = tag
      if [.get, .head].contains(request.method), let known = request.headers[.ifNoneMatch],
        EntityTag.names(known, tag)
      {
        return Response(status: .notModified, headers: [.eTag: tag, .cacheControl: "no-store"])
      }
    }
    return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
  }
}
