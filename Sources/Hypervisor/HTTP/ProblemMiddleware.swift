import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Turns errors into `application/problem+json` (RFC 9457) with the error's code as the member `code`.
struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
  private struct Problem: Encodable {
    var type = "about:blank"
    var title: String
    var status: Int
    var detail: String
    var code: HypervisorError.Code
  }

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let error as HypervisorError {
      if error.code == .failed { context.logger.error("request failed", metadata: ["error": "\(error)"]) }
      return try answer(error, error.code.status)
    } catch let error as any HTTPResponseError {
      let code: HypervisorError.Code = error.status == .notFound ? .notFound : .invalid
      return try answer(HypervisorError(code, "\(request.method) \(request.uri.path): \(error)"), error.status)
    } catch is CancellationError {
      return try answer(HypervisorError(.unavailable, "the daemon is ending"), .serviceUnavailable)
    } catch {
      context.logger.error("request failed", metadata: ["error": "\(error)"])
      return try answer(HypervisorError(.failed, "\(error)"), .internalServerError)
    }
  }

  private func answer(_ error: HypervisorError, _ status: HTTPResponse.Status) throws -> Response {
    let problem = Problem(title: status.reasonPhrase, status: status.code, detail: error.message, code: error.code)
    return Response(
      status: status, headers: [.contentType: "application/problem+json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(problem))))
  }
}

extension HypervisorError.Code {
  var status: HTTPResponse.Status {
    switch self {
    case .notFound: .notFound
    case .conflict: .conflict
    case .inUse: HTTPResponse.Status(code: 423, reasonPhrase: "Locked")
    case .invalid: .unprocessableContent
    case .quota: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
    case .credentials: .unauthorized
    case .permission: .forbidden
    case .unavailable: .serviceUnavailable
    case .failed: .internalServerError
    }
  }
}
