import Foundation
import Testing
import Wire

/// What people do with their passwords, roles and tokens, as the audit of the whole program shows it.
@Suite(.timeLimit(.minutes(2))) struct UpAuditTests {
  private static let password = "correct horse battery staple"

  @Test func `Sign-ins, refusals, tokens and roles are in the audit of the tenant, and no secret is`() async throws {
    let up = try UpProcess()
    defer { up.end() }
    #expect(try up.godwit(["tenant", "add", "acme"]).status == 0)
    let invitation = try up.godwit(["user", "invite", "boss@acme.example", "--role", "owner"]).output
    #expect(
      try up.godwit(["user", "accept", "--name", "B"], token: "none", input: "\(invitation)\n\(Self.password)\n").status
        == 0)
    #expect(try up.godwit(["sign-in", "boss@acme.example"], token: "none", input: "a wrong password\n").status == 1)
    #expect(try up.godwit(["sign-in", "nobody@acme.example"], token: "none", input: "a wrong password\n").status == 1)
    let boss = try up.godwit(["sign-in", "boss@acme.example"], token: "none", input: Self.password + "\n").output
    let program = try up.godwit(["token", "add", "ci", "--scopes", "read"], token: boss).output
    #expect(try up.godwit(["source", "add"], token: program).status == 1)

    let refusal = "POST /v1/tenants/{tenant}/enrolment-tokens"
    // The last of each service: they deliver by themselves.
    let events = try await Self.events(up, tenant: "acme") { events in
      [refusal, "POST /v1/tenants/{tenant}/api-tokens"].allSatisfy { last in events.contains { $0.action == last } }
    }
    func found(_ action: String, _ outcome: AuditEvent.Outcome) -> [AuditEvent] {
      events.filter { $0.action == action && $0.outcome == outcome }
    }
    let signIn = try #require(found("POST /v1/sessions", .done).first)
    #expect(signIn.object == "user " + signIn.actor && signIn.from == "127.0.0.1" && signIn.service == "identity")
    #expect(found("POST /v1/sessions", .refused).map(\.code) == ["sign_in_refused"])
    #expect(found("POST /v1/invitations/accept", .done).map(\.actor) == [signIn.actor])
    #expect(found("POST /v1/tenants/{tenant}/invitations", .done).map(\.actor) == ["admin"])
    let made = try #require(found("POST /v1/tenants/{tenant}/api-tokens", .done).first)
    #expect(made.object.hasPrefix("API token tok-") && made.actor == signIn.actor)
    #expect(found(refusal, .refused).map(\.code) == ["not_allowed"])
    #expect(events.contains { $0.action == "POST /v1/tenants" && $0.object == "tenant acme" })

    // Of the platform: the one whom nobody knows as well.
    let export = try up.godwit(["audit", "verify"])
    #expect(export.status == 0 && export.output.contains("The audit is whole"), "\(export.output)")
    let database =
      try Data(contentsOf: URL(filePath: up.folder + "/state/operations/operations.sqlite"))
      + Data(contentsOf: URL(filePath: up.folder + "/state/operations/operations.sqlite-wal"))
    #expect(database.range(of: Data("user nobody@acme.example".utf8)) != nil)
    for secret in [boss, program, invitation, Self.password, up.facts.token] {
      #expect(database.range(of: Data(secret.utf8)) == nil)
    }
  }

  private static func events(
    _ up: UpProcess, tenant: String, until holds: ([AuditEvent]) -> Bool
  ) async throws -> [AuditEvent] {
    for _ in 0..<100 {
      let listed = try up.godwit(["audit", "list", "--last", "500", "--json"], tenant: tenant)
      let events = try JSONDecoder().decode([AuditAPI.Entry].self, from: Data(listed.output.utf8)).map(\.event)
      if holds(events) { return events }
      try await Task.sleep(for: .milliseconds(200))
    }
    throw Owner.TookTooLong(description: "the audit stayed without what was waited for")
  }
}
