import Hummingbird
import NIOHTTP1
import ServiceKit
import Wire

/// The team and its invitations, one's own second factor, password and API tokens.
struct SettingsPages {
  private static let roles: [Role] = [.viewer, .migrator, .admin, .owner]

  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/settings", .member) { try await Self.show($0) }
    addTeam(to: pages)
    addOwn(to: pages)
    addTokens(to: pages)
  }

  private static func show(_ visit: Visit, _ own: View = [:]) async throws -> Response {
    typealias Page = MigrationAPI.Page
    let api = try visit.api
    async let wantedMembers = api.get(.identity, "users", query: "?limit=200", as: Page<IdentityAPI.Member>.self)
    async let wantedTokens = api.get(.identity, "api-tokens", query: "?limit=200", as: Page<IdentityAPI.APIToken>.self)
    async let wantedTargets = api.targets()
    var view: View = [
      "members": try await wantedMembers.items.map { member($0, visit) },
      "tokens": try await wantedTokens.items.map { token($0, visit) },
      "targets": try await wantedTargets.map {
        ["id": $0.id, "provider": $0.provider, "endpoint": $0.endpoint] as View
      },
      "roles": roles.map { ["value": $0.rawValue, "label": visit.text("role." + $0.rawValue)] as View },
      "rights": rights(visit)
    ]
    if visit.may(.own) {
      let page = try await api.get(.identity, "invitations", query: "?limit=200", as: Page<IdentityAPI.Invitation>.self)
      let open = page.items.filter { $0.acceptedBy == nil && $0.expiresAt > visit.parts.now }
      view["invitations"] = open.map { invitation($0, visit) }
      view["has_invitations"] = !open.isEmpty
    }
    view.merge(own) { _, new in new }
    return try visit.page("settings", title: visit.text("nav.settings"), section: .settings, view)
  }

  private static func member(_ member: IdentityAPI.Member, _ visit: Visit) -> View {
    [
      "id": member.id, "name": member.name, "email": member.email, "role": visit.text("role." + member.role.rawValue),
      "path": visit.path("settings", "members", member.id), "self": member.id == visit.session?.user.id,
      "roles": roles.map {
        ["value": $0.rawValue, "label": visit.text("role." + $0.rawValue), "chosen": $0 == member.role] as View
      }
    ]
  }

  private static func invitation(_ one: IdentityAPI.Invitation, _ visit: Visit) -> View {
    [
      "email": one.email, "role": visit.text("role." + one.role.rawValue),
      "until": visit.figures.instant(one.expiresAt),
      "withdraw": visit.path("settings", "invitations", one.id, "withdraw")
    ]
  }

  private static func token(_ one: IdentityAPI.APIToken, _ visit: Visit) -> View {
    var view: View = [
      "name": one.name, "rights": one.scopes.map { visit.text("right." + $0.rawValue) }.joined(separator: " · "),
      "until": visit.figures.instant(one.expiresAt), "revoke": visit.path("settings", "tokens", one.id, "revoke")
    ]
    if let used = one.lastUsedAt { view["used"] = visit.figures.instant(used) }
    return view
  }

  private static func rights(_ visit: Visit) -> [View] {
    [Right.read, .migrate, .configure, .own].filter(visit.may).map {
      ["value": $0.rawValue, "label": visit.text("right." + $0.rawValue), "first": $0 == .read]
    }
  }

  // MARK: Team

  private func addTeam(to pages: PageRegistry) {
    pages.post("/t/{tenant}/settings/invitations", .member) { visit in
      guard let email = visit.form["email"], let role = visit.form["role"].flatMap(Role.init) else {
        throw Problem.signInIncomplete
      }
      let made = try await visit.api.post(
        .identity, "invitations", body: IdentityAPI.InvitationWish(email: email, role: role),
        as: IdentityAPI.Invitation.self)
      return try await Self.show(
        visit, ["invited": ["email": made.email, "token": made.token ?? "", "page": visit.language.rawValue] as View])
    }
    pages.post("/t/{tenant}/settings/invitations/{id}/withdraw", .member) { visit in
      try await visit.api.send(.DELETE, .identity, "invitations", try visit.id())
      return visit.redirect(visit.path("settings"), done: "withdrawn")
    }
    pages.post("/t/{tenant}/settings/members/{id}/role", .member) { visit in
      guard let role = visit.form["role"].flatMap(Role.init) else { throw Problem.signInIncomplete }
      try await visit.api.send(.PUT, .identity, "users", try visit.id(), body: IdentityAPI.RoleWish(role: role))
      return visit.redirect(visit.path("settings"), done: "role_changed")
    }
    pages.post("/t/{tenant}/settings/members/{id}/remove", .member) { visit in
      try await visit.api.send(.DELETE, .identity, "users", try visit.id())
      return visit.redirect(visit.path("settings"), done: "member_removed")
    }
  }

  // MARK: One's own

  private func addOwn(to pages: PageRegistry) {
    pages.post("/t/{tenant}/settings/second-factor", .member) { visit in
      let factor: IdentityAPI.SecondFactor = try Person.decode(
        try await visit.person.sendSession(
          .POST, "/v1/session/second-factor", body: try Person.encode([String: String]())))
      return try await Self.show(
        visit,
        [
          "factor": [
            "secret": factor.secret, "url": factor.url, "codes": factor.recoveryCodes.map { ["code": $0] as View }
          ] as View
        ])
    }
    pages.post("/t/{tenant}/settings/second-factor/confirm", .member) { visit in
      let code = IdentityAPI.Code(code: (visit.form["code"] ?? "").filter { !$0.isWhitespace })
      _ = try await visit.person.sendSession(.PUT, "/v1/session/second-factor", body: try Person.encode(code))
      return visit.redirect(visit.path("settings"), done: "factor_on")
    }
    pages.post("/t/{tenant}/settings/second-factor/remove", .member) { visit in
      let code = IdentityAPI.Code(code: (visit.form["code"] ?? "").filter { !$0.isWhitespace })
      _ = try await visit.person.sendSession(.POST, "/v1/session/second-factor/remove", body: try Person.encode(code))
      return visit.redirect(visit.path("settings"), done: "factor_off")
    }
    pages.post("/t/{tenant}/settings/password", .member) { visit in
      guard let old = visit.form["old"], let new = visit.form["new"] else { throw Problem.signInIncomplete }
      let change = IdentityAPI.PasswordChange(old: old, new: new)
      _ = try await visit.person.sendSession(.PUT, "/v1/session/password", body: try Person.encode(change))
      return visit.redirect(visit.path("settings"), done: "password_changed")
    }
  }

  // MARK: API tokens

  private func addTokens(to pages: PageRegistry) {
    pages.post("/t/{tenant}/settings/tokens", .member) { visit in
      guard let name = visit.form["name"] else { throw Problem.signInIncomplete }
      let wish = IdentityAPI.APITokenWish(
        name: name, scopes: visit.form.all("right").compactMap(Right.init),
        expiresIn: (visit.form["days"].flatMap { Int($0) } ?? 90) * 86_400)
      let made = try await visit.api.post(.identity, "api-tokens", body: wish, as: IdentityAPI.APIToken.self)
      return try await Self.show(visit, ["made": ["name": made.name, "token": made.token ?? ""] as View])
    }
    pages.post("/t/{tenant}/settings/tokens/{id}/revoke", .member) { visit in
      try await visit.api.send(.DELETE, .identity, "api-tokens", try visit.id())
      return visit.redirect(visit.path("settings"), done: "revoked")
    }
  }
}
