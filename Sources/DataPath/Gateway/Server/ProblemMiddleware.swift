import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Replication
import Wire

/// Turns every error into `application/problem+json`.
struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
  let logger: Logger

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    do { return try await next(request, context) } catch {
      let problem = Self.problem(error)
      if problem.status >= 500, problem.status != 503 {
        logger.error(
          "request failed",
          metadata: ["path": "\(request.uri.path)", "code": "\(problem.code)", "detail": "\(problem.detail)"])
      } else {
        logger.debug("request refused", metadata: ["path": "\(request.uri.path)", "code": "\(problem.code)"])
      }
      return try response(problem)
    }
  }

  private static func problem(_ error: any Error) -> Problem {
    switch error {
    case let problem as Problem: problem
    case let error as HTTPError:
      Problem(
        code: error.status == .notFound ? "not_found" : "bad_request", status: error.status.code,
        detail: error.body ?? error.status.reasonPhrase, remedy: "see api/wire.md for what can be asked")
    default: Problem.isFull(error) ? Problem(.full) : .failed("\(error)")
    }
  }

  private func response(_ problem: Problem) throws -> Response {
    var headers: HTTPFields = [.contentType: "application/problem+json"]
    if problem.status == 503 { headers[.retryAfter] = "1" }
    let body = ByteBuffer(bytes: try JSONEncoder().encode(problem))
    return Response(status: .init(code: problem.status), headers: headers, body: .init(byteBuffer: body))
  }
}
