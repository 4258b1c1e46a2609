import Foundation
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// What is public: agents and clients come here. The routes of tenants want the admin token, which becomes a service
/// token of that tenant; the rest, the agents' routes, is the migration service's to judge.
struct Front: Sendable {
  let token: AdminToken
  let issuer: ServiceTokenIssuer
  let clouds: Forwarder
  let migration: Forwarder
  let operations: Forwarder

  /// The clouds service's collections; every other one but `audit` is the migration service's.
  private static let cloudsCollections: Set<String> = [
    "targets", "volumes", "snapshots", "machines", "ledger", "leaks", "owners", "gateways"
  ]

  func add(to router: Router<ServiceContext>) {
    let methods: [HTTPRequest.Method] = [.get, .put, .post, .patch, .delete]
    let tenants = router.group("v1/tenants/:tenant/:collection").add(middleware: AdminTokenMiddleware(token))
    router.group("v1/audit").add(middleware: AdminTokenMiddleware(token)).get("export") { request, context in
      let token = try issuer.token(for: "operations", tenant: "*", subject: "admin")
      return try await operations.forward(request, context, authorization: "Bearer " + token)
    }
    for method in methods {
      tenants.on("", method: method, use: tenantRoute)
      tenants.on("**", method: method, use: tenantRoute)
      // Named one by one: below a literal part of another route, a catch-all at the root is not considered.
      for path in ["v1/enrolments", "v1/agent/**"] {
        router.on(RouterPath(path), method: method) { request, context in try await migration.forward(request, context)
        }
      }
    }
  }

  private func tenantRoute(_ request: Request, _ context: ServiceContext) async throws -> Response {
    guard let tenant = context.parameters.get("tenant"), let collection = context.parameters.get("collection") else {
      throw Problem.notFound("page")
    }
    let (name, service) =
      if collection == "audit" {
        ("operations", operations)
      } else {
        Self.cloudsCollections.contains(collection) ? ("clouds", clouds) : ("migration", migration)
      }
    let token = try issuer.token(for: name, tenant: tenant, subject: "admin")
    return try await service.forward(request, context, authorization: "Bearer " + token)
  }
}
