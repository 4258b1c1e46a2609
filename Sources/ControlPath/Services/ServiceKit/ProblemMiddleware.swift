import HTTPTypes
public import Hummingbird
import HummingbirdCore
import Logging
import Wire

/// Turns every error into `application/problem+json`. What is not a `Problem` or an HTTP error becomes a 500 with a
/// support code: its text goes to the log, never to the caller.
public struct ProblemMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext

  public init() {}

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    do { response = try await next(request, context) } catch {
      response = try problem(for: error, context).response(from: request, context: context)
    }
    response.headers[.requestID] = context.requestID
    return response
  }

  private func problem(for error: any Error, _ context: ServiceContext) -> Problem {
    switch error {
    case let problem as Problem:
      return problem
    case let error as HTTPError:
      return Problem(
        code: Self.code(error.status), status: error.status.code, detail: error.body ?? error.status.reasonPhrase,
        remedy: "Check the request's path, method and body.")
    case is CancellationError:
      return Problem(
        code: "stopping", status: 503, detail: "The service is stopping.", remedy: "Repeat the request in a moment.")
    default:
      context.logger.error("request failed unexpectedly", metadata: ["error": .string(String(reflecting: error))])
      return Problem(
        code: "internal", status: 500,
        detail: "Something failed inside the service (support code \(context.requestID)).",
        remedy: "Repeat the request; if it fails again, look for the support code in the service's log.")
    }
  }

  private static func code(_ status: HTTPResponse.Status) -> String {
    switch status {
    case .notFound: "not_found"
    case .contentTooLarge: "too_large"
    case .badRequest: "malformed_request"
    case .unauthorized: "unauthorized"
    case .forbidden: "forbidden"
    default: "http_\(status.code)"
    }
  }
}

extension HTTPField.Name {
  /// `X-Request-ID`
  public static let requestID = HTTPField.Name("X-Request-ID")!
  /// Host and scheme that the caller of the front used, and its address: `X-Forwarded-Host`, `-Proto`, `-For`.
  public static let forwardedHost = HTTPField.Name("X-Forwarded-Host")!
  /// The address that called the front: `X-Forwarded-For`.
  public static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
  public static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")!
}
