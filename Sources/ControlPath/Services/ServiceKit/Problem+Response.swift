import FoundationEssentials
import HTTPTypes
public import Hummingbird
import NIOCore
public import Wire

extension Problem: ResponseGenerator {
  struct Answer: Encodable {
    var problem: Problem
    var requestId: String?
    enum Keys: CodingKey { case requestId }

    func encode(to encoder: any Encoder) throws {
      try problem.encode(to: encoder)
      var own = encoder.container(keyedBy: Keys.self)
      try own.encodeIfPresent(requestId, forKey: .requestId)
    }
  }

  /// As callers see it.
  var answer: Answer { Answer(problem: self, requestId: RequestTrace.current?.requestID) }

  /// `application/problem+json` (RFC 9457) with this problem's status, and the request's id as `requestId`.
  public func response(from request: Request, context: some RequestContext) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var headers: HTTPFields = [.contentType: "application/problem+json"]
    if let retryAfter { headers[.retryAfter] = "\(retryAfter)" } else if status == 503 { headers[.retryAfter] = "1" }
    return Response(
      status: .init(code: status), headers: headers,
      body: .init(byteBuffer: ByteBuffer(bytes: try encoder.encode(answer))))
  }
}

extension Problem {
  /// 404 for something that is not there, or is not the caller's: both look the same.
  public static func notFound(_ what: String) -> Problem {
    Problem(code: "not_found", status: 404, detail: "There is no \(what).", remedy: "Check the id and the tenant.")
  }

  public static func malformed(_ detail: String) -> Problem {
    Problem(
      code: "malformed_request", status: 400, detail: detail,
      remedy: "Send what the API's description says.")
  }

  public static func conflict(_ detail: String, remedy: String) -> Problem {
    Problem(code: "conflict", status: 409, detail: detail, remedy: remedy)
  }
}
