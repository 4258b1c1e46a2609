import Hummingbird
import Logging

/// Takes or makes the request's id and trace, and sets them for all that is done for it.
struct TraceMiddleware: RouterMiddleware {
  typealias Context = ServiceContext

  func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    let trace = RequestTrace(request.headers)
    var context = context
    context.requestID = trace.requestID
    for (key, value) in trace.logMetadata { context.logger[metadataKey: key] = value }
    return try await RequestTrace.$current.withValue(trace) { [context] in try await next(request, context) }
  }
}
