import Hummingbird

/// Counts and times requests by method, route template and status, until the answer begins.
struct MetricsMiddleware: RouterMiddleware {
  typealias Context = ServiceContext
  let metrics: MetricRegistry

  private static let methods: Set<String> = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]

  func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    let response = try await next(request, context)
    let method = request.method.rawValue
    metrics.observe(
      "godwit_http_request_duration_seconds", "Requests, by the time until their answer began.",
      [
        "method": Self.methods.contains(method) ? method : "other", "route": context.endpointPath ?? "none",
        "status": "\(response.status.code)"
      ], seconds: (ContinuousClock.now - start) / .seconds(1))
    return response
  }
}
