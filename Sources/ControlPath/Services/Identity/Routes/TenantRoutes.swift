import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// A tenant's own: its name, users, invitations and API tokens.
struct TenantRoutes: Sendable {
  let people: People
  let invitations: Invitations
  let tokens: APITokens

  func add(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("") { _, context in try JSONAnswer(try await people.tenant(try context.tenant).view) }
    tenant.patch("") { request, context in
      let change = try await request.json(IdentityAPI.TenantChange.self)
      return try JSONAnswer(try await people.rename(try context.tenant, change.name, Precondition(request)).view)
    }
    tenant.get("limits") { _, context in
      try JSONAnswer(try await people.tenant(try context.tenant).limits ?? TenantLimits())
    }
    tenant.put("limits") { request, context in
      let limits = try await request.json(TenantLimits.self)
      return try JSONAnswer(try await people.limit(try context.tenant, limits, Precondition(request)))
    }
    addUsers(to: tenant)
    addInvitations(to: tenant)
    addTokens(to: tenant)
  }

  private func addUsers(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("users") { request, context in
      let (limit, after) = request.page
      let members = try await people.members(try context.tenant, limit: limit + 1, after: after)
      return try JSONAnswer(MigrationAPI.Page(members, limit, id: \.id))
    }
    tenant.get("users/{id}") { _, context in
      try JSONAnswer(try await people.member(try context.tenant, try context.parameter("id")))
    }
    tenant.put("users/{id}") { request, context in
      let wish = try await request.json(IdentityAPI.RoleWish.self)
      return try JSONAnswer(
        try await people.setRole(try context.tenant, try context.parameter("id"), wish.role, Precondition(request)))
    }
    tenant.delete("users/{id}") { _, context in
      try await people.remove(try context.tenant, try context.parameter("id"))
      return HTTPResponse.Status.noContent
    }
  }

  private func addInvitations(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("invitations") { request, context in
      let (limit, after) = request.page
      let rows = try await invitations.list(try context.tenant, limit: limit + 1, after: after)
      return try JSONAnswer(MigrationAPI.Page(rows.map { $0.view() }, limit, id: \.id))
    }
    tenant.post("invitations") { request, context in
      let wish = try await request.json(IdentityAPI.InvitationWish.self)
      return try JSONAnswer(try await invitations.make(try context.tenant, wish), status: .created)
    }
    tenant.delete("invitations/{id}") { _, context in
      try await invitations.withdraw(try context.tenant, try context.parameter("id"))
      return HTTPResponse.Status.noContent
    }
  }

  private func addTokens(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("api-tokens") { request, context in
      let (limit, after) = request.page
      let rows = try await tokens.list(try context.tenant, by: context.caller, limit: limit + 1, after: after)
      return try JSONAnswer(MigrationAPI.Page(rows.map { $0.view() }, limit, id: \.id))
    }
    tenant.post("api-tokens") { request, context in
      let wish = try await request.json(IdentityAPI.APITokenWish.self)
      return try JSONAnswer(try await tokens.make(try context.tenant, wish, by: context.caller), status: .created)
    }
    tenant.delete("api-tokens/{id}") { _, context in
      try await tokens.revoke(try context.tenant, try context.parameter("id"), by: context.caller)
      return HTTPResponse.Status.noContent
    }
  }
}
