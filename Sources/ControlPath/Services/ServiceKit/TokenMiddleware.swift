import HTTPTypes
public import Hummingbird
import Wire

/// Verifies who calls, counts his tenant's requests, has them audited, lets only those through who may, and carries out what
/// bears an `Idempotency-Key` once, in this order. Who calls are other services by their service tokens, people and programs by access tokens whose
/// rights are enough for the route. Where the route names a `{tenant}` the token must be for that one; another one looks
/// as if nothing were there.
public struct TokenMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let services: ServiceTokenVerifier
  private let users: AccessTokenVerifier?
  private let admin: AdminToken?
  private let rights: RouteRights
  private let auditor: Auditor?
  private let rates = TenantRates()

  /// - Parameters:
  ///   - users: nil: service tokens only.
  ///   - admin: who may do everything; nil: nobody by such a token.
  ///   - auditor: notes what is changed, and what is refused to people; nil: nobody does.
  public init(
    services: ServiceTokenVerifier, users: AccessTokenVerifier?, rights: RouteRights, admin: AdminToken? = nil,
    auditor: Auditor? = nil
  ) {
    (self.services, self.users, self.rights, self.admin) = (services, users, rights, admin)
    self.auditor = auditor
  }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    guard let token = request.bearerToken else { throw Problem.tokenRefused }
    var known = context
    known.caller = try await caller(token)
    let context = known
    if case .user(let claims) = context.caller { try rates.admit(claims) }
    guard let auditor else {
      try check(request, context)
      return try await next(request, context)
    }
    return try await auditor.watching(request, context, isAllowed: { try check(request, context) }) {
      try await Idempotency(writer: auditor.writer).once(request, context) { try await next($0, context) }
    }
  }

  /// - Throws: `Problem` 401.
  private func caller(_ token: String) async throws -> ServiceContext.Caller {
    if let admin, admin.matches(token) { return .admin }
    guard let parsed = try? CompactJWS(parsing: token) else { throw Problem.tokenRefused }
    if let users, parsed.header.typ == AccessToken.type { return .user(try await users.verify(parsed)) }
    return .service(try services.verify(token))
  }

  /// - Throws: `Problem` 403, or 404 for another's tenant.
  private func check(_ request: Request, _ context: ServiceContext) throws {
    let tenant = context.parameters.get("tenant")
    switch context.caller {
    case .admin: return
    case .service(let claims):
      if let tenant, !claims.mayActFor(tenant) { throw Problem.notFound("tenant \(tenant)") }
    case .user(let claims):
      guard claims.tenant == tenant else { throw Self.elsewhere(tenant) }
      try rights.check(claims, request.method, context.endpointPath)
    case nil: throw Problem.tokenRefused
    }
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
