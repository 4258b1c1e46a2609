import HTTPTypes
public import Hummingbird
import Logging

/// One log line for each request: method, path without query, route template, status, milliseconds. `debug` below 500, `error` from there.
public struct AccessLogMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext

  public init() {}

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    let response = try await next(request, context)
    let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
    context.logger.log(
      level: response.status.code >= 500 ? .error : .debug, "request",
      metadata: [
        "http.method": .string(request.method.rawValue), "http.path": .string(request.uri.path),
        "http.route": .string(context.endpointPath ?? "none"),
        "http.status": .stringConvertible(response.status.code),
        "http.milliseconds": .stringConvertible((milliseconds * 10).rounded() / 10)
      ])
    return response
  }
}
