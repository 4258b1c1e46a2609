import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// What the key alone can answer: also without a database.
struct IssuingRoutes: Sendable {
  let issuer: LicenceIssuer
  /// Keeps what is issued; nil: it is answered and nothing else.
  let database: LicensingDatabase?

  func add(to platform: RouterGroup<ServiceContext>) {
    platform.post("licences") { request, _ in
      let issued = try issuer.make(try await request.json(LicensingAPI.Wish.self))
      return try JSONAnswer(try await database?.keep(issued) ?? issued, status: .created)
    }
    platform.post("licences/check") { request, _ in
      try JSONAnswer(try issuer.check(try await request.json(LicensingAPI.Check.self).licence))
    }
  }
}

/// What was issued.
struct LicensingRoutes: Sendable {
  let issuer: LicenceIssuer
  let database: LicensingDatabase
  /// What a tenant is given that never had a licence, when the migration service asks for it; nil: nothing.
  let evaluation: LicensingService.Evaluation?

  func add(platform: RouterGroup<ServiceContext>, tenant: RouterGroup<ServiceContext>) {
    platform.get("licences") { request, _ in
      let wanted = request.uri.queryParameters["tenant"].map(String.init)
      return try await page(of: wanted, request)
    }
    platform.get("licences/{id}") { _, context in
      try JSONAnswer(try await database.find(nil, try context.parameter("id")))
    }
    platform.delete("licences/{id}") { _, context in
      try JSONAnswer(try await database.revoke(try context.parameter("id"), at: issuer.now()))
    }
    tenant.get("licences") { request, context in
      if case .service(let token) = context.caller, token.iss == "migration" { try await evaluate(try context.tenant) }
      return try await page(of: try context.tenant, request)
    }
    tenant.get("licences/{id}") { _, context in
      try JSONAnswer(try await database.find(try context.tenant, try context.parameter("id")))
    }
  }

  private func page(of tenant: String?, _ request: Request) async throws -> JSONAnswer {
    let (limit, after) = request.page
    let rows = try await database.list(tenant, limit: limit + 1, after: after)
    let items = Array(rows.prefix(limit))
    return try JSONAnswer(MigrationAPI.Page(items: items, next: rows.count > limit ? items.last?.id : nil))
  }

  /// Once for each tenant: its key names the licence.
  private func evaluate(_ tenant: String) async throws {
    guard let evaluation, try await database.list(tenant, limit: 1, after: nil).isEmpty else { return }
    let wish = LicensingAPI.Wish(
      tenant: tenant, edition: .evaluation, seats: evaluation.seats, days: evaluation.days, key: "evaluation")
    _ = try await database.keep(try issuer.make(wish))
  }
}
