import Foundation
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// What is public: agents and clients come here. Whose credentials are sessions or API tokens is given an access token;
/// the admin token becomes a service token of the tenant that the path names. All else is the services' to judge.
struct Front: Sendable {
  let token: AdminToken
  let issuer: ServiceTokenIssuer
  let exchange: TokenExchange
  let clouds: Forwarder
  let migration: Forwarder
  let identity: Forwarder
  let operations: Forwarder
  /// Nil where the platform has no licensing service.
  let licensing: Forwarder?
  /// The web pages; nil where this platform shows none.
  let console: Forwarder?

  /// The collections of the clouds service and of the identity service; every other one but `audit` is the migration
  /// service's.
  private static let cloudsCollections: Set<String> = [
    "targets", "volumes", "snapshots", "machines", "ledger", "leaks", "owners", "gateways"
  ]
  private static let identityCollections: Set<String> = ["users", "invitations", "api-tokens", "limits"]

  /// Named one by one: below a literal part of another route, a catch-all at the root is not considered.
  private static let agentPaths: [RouterPath] = ["v1/enrolments", "v1/agent/**"]
  private static let identityPaths: [RouterPath] = [
    ".well-known/jwks.json", "v1/sessions", "v1/session", "v1/session/password",
    "v1/session/second-factor", "v1/session/second-factor/remove", "v1/token", "v1/invitations/accept",
    "v1/sign-on", "v1/sign-on/{id}", "v1/sign-on/{id}/session"
  ]
  private static let platformPaths: [RouterPath] = [
    "v1/tenants", "v1/users", "v1/users/{id}", "v1/users/{id}/second-factor", "v1/signing-keys",
    "v1/signing-keys/rotate", "v1/sign-on-providers", "v1/sign-on-providers/{id}"
  ]

  private static let consolePaths: [RouterPath] = ["/", "en", "en/**", "zh-CN", "zh-CN/**", "assets/**"]

  func add(to router: Router<ServiceContext>) {
    for method in [HTTPRequest.Method.get, .put, .post, .patch, .delete] {
      router.on("v1/tenants/{tenant}", method: method) { try await identityRoute($0, $1) }
      router.on("v1/tenants/{tenant}/{collection}", method: method, use: tenantRoute)
      router.on("v1/tenants/{tenant}/{collection}/**", method: method, use: tenantRoute)
      for path in Self.platformPaths { router.on(path, method: method) { try await identityRoute($0, $1) } }
      for path in Self.identityPaths { router.on(path, method: method) { try await identity.forward($0, $1) } }
      for path in Self.agentPaths { router.on(path, method: method) { try await migration.forward($0, $1) } }
    }
    for path in ["v1/licences", "v1/licences/check", "v1/licences/{id}"] as [RouterPath] {
      for method in [HTTPRequest.Method.get, .post, .delete] {
        router.on(path, method: method) { try await licences($0, $1, tenant: nil) }
      }
    }
    if let console {
      for path in Self.consolePaths {
        for method in [HTTPRequest.Method.get, .post] {
          router.on(path, method: method) { try await console.forward($0, $1) }
        }
      }
    }
    router.get("v1/audit/export") { request, context in
      try await pass(request, context, to: "operations", operations, tenant: nil)
    }
  }

  private func identityRoute(_ request: Request, _ context: ServiceContext) async throws -> Response {
    let authorization = try await authorization(request, tenant: context.parameters.get("tenant"))
    return try await identity.forward(request, context, authorization: authorization)
  }

  private func tenantRoute(_ request: Request, _ context: ServiceContext) async throws -> Response {
    guard let tenant = context.parameters.get("tenant"), let collection = context.parameters.get("collection") else {
      throw Problem.notFound("page")
    }
    if Self.identityCollections.contains(collection) { return try await identityRoute(request, context) }
    if collection == "audit" { return try await pass(request, context, to: "operations", operations, tenant: tenant) }
    if collection == "licences" { return try await licences(request, context, tenant: tenant) }
    return Self.cloudsCollections.contains(collection)
      ? try await pass(request, context, to: "clouds", clouds, tenant: tenant)
      : try await pass(request, context, to: "migration", migration, tenant: tenant)
  }

  private func licences(_ request: Request, _ context: ServiceContext, tenant: String?) async throws -> Response {
    guard let licensing else { throw Problem.notFound("page") }
    return try await pass(request, context, to: "licensing", licensing, tenant: tenant)
  }

  /// Asks a service in the name of whoever asks here; nil: for no tenant in particular.
  private func pass(
    _ request: Request, _ context: ServiceContext, to name: String, _ service: Forwarder, tenant: String?
  ) async throws -> Response {
    if let given = request.bearerToken, token.matches(given) {
      let own = try issuer.token(for: name, tenant: tenant ?? "*", subject: "admin")
      return try await service.forward(request, context, authorization: "Bearer " + own)
    }
    return try await service.forward(
      request, context, authorization: try await authorization(request, tenant: tenant))
  }

  /// What the services are shown instead of the request's own `Authorization`; nil: that.
  private func authorization(_ request: Request, tenant: String?) async throws -> String? {
    guard let given = request.bearerToken else { throw Problem.tokenRefused }
    guard TokenExchange.isCredential(given) else {
      // A body is taken in only of somebody who shows something. The identity service knows the admin token itself.
      let isToken = token.matches(given) || (try? CompactJWS(parsing: given))?.header.typ == AccessToken.type
      guard isToken else { throw Problem.tokenRefused }
      return nil
    }
    return "Bearer " + (try await exchange.accessToken(for: given, tenant: tenant))
  }
}
