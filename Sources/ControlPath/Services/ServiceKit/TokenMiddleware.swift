import HTTPTypes
public import Hummingbird
import Wire

/// Lets only callers through who may: other services by their service tokens, people and programs by access tokens whose
/// rights are enough for the route. Where the route names a `{tenant}` the token must be for that one; another one looks
/// as if nothing were there.
public struct TokenMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let services: ServiceTokenVerifier
  private let users: AccessTokenVerifier?
  private let admin: AdminToken?
  private let rights: RouteRights

  /// - Parameters:
  ///   - users: nil: service tokens only.
  ///   - admin: who may do everything; nil: nobody by such a token.
  public init(
    services: ServiceTokenVerifier, users: AccessTokenVerifier?, rights: RouteRights, admin: AdminToken? = nil
  ) {
    (self.services, self.users, self.rights, self.admin) = (services, users, rights, admin)
  }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    guard let token = request.bearerToken else { throw Problem.tokenRefused }
    var context = context
    let tenant = context.parameters.get("tenant")
    if let admin, admin.matches(token) {
      context.caller = .admin
      return try await next(request, context)
    }
    guard let parsed = try? CompactJWS(parsing: token) else { throw Problem.tokenRefused }
    if let users, parsed.header.typ == AccessToken.type {
      let claims = try await users.verify(parsed)
      guard claims.tenant == tenant else { throw Self.elsewhere(tenant) }
      try rights.check(claims, request.method, context.endpointPath)
      context.caller = .user(claims)
    } else {
      let claims = try services.verify(token)
      if let tenant, !claims.mayActFor(tenant) { throw Problem.notFound("tenant \(tenant)") }
      context.caller = .service(claims)
    }
    return try await next(request, context)
  }

  /// A token for a tenant is none for the platform, whoever holds it, and the other way round.
  private static func elsewhere(_ tenant: String?) -> Problem {
    if let tenant { return .notFound("tenant \(tenant)") }
    return Problem(
      code: "not_allowed", status: 403, detail: "The token is for one tenant, not for the platform.",
      remedy: "Ask for one without a tenant.")
  }
}

extension Request {
  /// What follows `Authorization: Bearer `.
  public var bearerToken: String? {
    guard let value = headers[.authorization], value.lowercased().hasPrefix("bearer ") else { return nil }
    return String(value.dropFirst(7))
  }
}
