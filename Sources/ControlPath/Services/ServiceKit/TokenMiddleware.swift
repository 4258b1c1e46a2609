import HTTPTypes
public import Hummingbird
import Wire

/// Lets only callers with a good service token through. On routes with `{tenant}` the token must be for that tenant;
/// another one looks as if nothing were there.
public struct ServiceTokenMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let verifier: ServiceTokenVerifier

  public init(_ verifier: ServiceTokenVerifier) { self.verifier = verifier }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    guard let token = request.bearerToken else { throw Problem.tokenRefused }
    let claims = try verifier.verify(token)
    if let tenant = context.parameters.get("tenant"), !claims.mayActFor(tenant) {
      throw Problem.notFound("tenant \(tenant)")
    }
    var context = context
    context.caller = .service(claims)
    return try await next(request, context)
  }
}

/// Lets only the holder of the admin token through.
public struct AdminTokenMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let token: AdminToken

  public init(_ token: AdminToken) { self.token = token }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    guard let given = request.bearerToken, token.matches(given) else { throw Problem.tokenRefused }
    var context = context
    context.caller = .admin
    return try await next(request, context)
  }
}

extension Request {
  /// What follows `Authorization: Bearer `.
  public var bearerToken: String? {
    guard let value = headers[.authorization], value.lowercased().hasPrefix("bearer ") else { return nil }
    return String(value.dropFirst(7))
  }
}
