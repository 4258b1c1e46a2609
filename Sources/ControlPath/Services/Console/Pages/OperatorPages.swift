import Hummingbird
import NIOHTTP1
import ServiceKit
import Wire

/// For whom the platform belongs to: its tenants and their targets, and its users.
struct OperatorPages {
  func add(to pages: PageRegistry) {
    pages.get("/operator", .user) { try await Self.show($0) }
    pages.post("/operator/tenants", .user) { visit in
      guard let name = visit.form["name"] else { throw Problem.signInIncomplete }
      let wish = IdentityAPI.TenantWish(id: visit.form["id"], name: name)
      _ = try await visit.person.send(
        .POST, .identity, "/v1/tenants", tenant: nil, body: try Person.encode(wish))
      return visit.redirect(visit.path("operator"), done: "tenant_made")
    }
    pages.post("/operator/targets", .user) { visit in
      guard let tenant = visit.form["tenant"], let id = visit.form["id"], Identifier.isValid(tenant),
        Identifier.isValid(id), let provider = visit.form["provider"], let endpoint = visit.form["endpoint"]
      else { throw Problem.signInIncomplete }
      let wish = CloudsAPI.TargetWish(provider: provider, endpoint: endpoint, secret: visit.form["secret"])
      try await TenantAPI(person: visit.person, tenant: tenant).send(.PUT, .clouds, "targets", id, body: wish)
      return visit.redirect(visit.path("operator"), done: "target_saved")
    }
    for (word, isDisabled) in [("disable", true), ("enable", false)] {
      pages.post("/operator/users/{id}/\(word)", .user) { visit in
        _ = try await visit.person.send(
          .PATCH, .identity, RESTClient.path("v1", "users", try visit.id()), tenant: nil,
          body: try Person.encode(IdentityAPI.UserChange(disabled: isDisabled)))
        return visit.redirect(visit.path("operator"), done: isDisabled ? "user_disabled" : "user_enabled")
      }
    }
  }

  private static func show(_ visit: Visit) async throws -> Response {
    guard let role = visit.session?.user.platformRole else { throw Problem.notFound("page") }
    typealias Page = MigrationAPI.Page
    async let wantedUsers = visit.person.send(.GET, .identity, "/v1/users?limit=200", tenant: nil)
    let tenants: Page<IdentityAPI.Tenant> = try Person.decode(
      try await visit.person.send(.GET, .identity, "/v1/tenants?limit=200", tenant: nil))
    let users: Page<IdentityAPI.User> = try Person.decode(try await wantedUsers)
    return try visit.page(
      "operator", title: visit.text("operator.title"),
      [
        "tenants": tenants.items.map { tenant -> View in
          [
            "id": tenant.id, "name": tenant.name, "at": visit.figures.instant(tenant.createdAt),
            "href": visit.path("t", tenant.id)
          ]
        },
        "users": users.items.map { user -> View in
          [
            "id": user.id, "email": user.email, "name": user.name, "disabled": user.disabled,
            "role": user.platformRole.map { visit.text("role." + $0.rawValue) } ?? "–",
            "change": visit.path("operator", "users", user.id, user.disabled ? "enable" : "disable")
          ]
        },
        "rules": role == .platformAdmin, "role": visit.text("role." + role.rawValue)
      ])
  }
}
