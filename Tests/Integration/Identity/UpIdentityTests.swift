import Foundation
import ServiceKit
import Testing
import Wire

/// The whole program: its front, its services, its commands.
@Suite(.timeLimit(.minutes(2)), .serialized) struct UpIdentityTests {
  private static let password = "correct horse battery staple"

  @Test func `The admin token works as ever, and people and programs by tokens of their own`() async throws {
    let up = try UpProcess()
    defer { up.end() }
    let asEver = try up.godwit(["source", "add"], tenant: "default")
    #expect(asEver.status == 0 && asEver.output.contains("gwe_"), "\(asEver.output)")
    #expect(try up.godwit(["source", "list"], tenant: "never-made").status == 0)
    #expect(try up.godwit(["tenant", "add", "acme"]).status == 0)
    #expect(try up.godwit(["tenant", "list"]).output.contains("default"))

    let invitation = try up.godwit(["user", "invite", "boss@acme.example", "--role", "owner"])
    #expect(invitation.output.hasPrefix("gwi_"), "\(invitation.output)")
    let accepted = try up.godwit(
      ["user", "accept", "--name", "B"], token: "none", input: "\(invitation.output)\n\(Self.password)\n")
    #expect(accepted.status == 0, "\(accepted.output)")
    let session = try up.godwit(["sign-in", "boss@acme.example"], token: "none", input: Self.password + "\n")
    #expect(session.output.hasPrefix("gws_"), "\(session.output)")
    let boss = session.output
    #expect(try up.godwit(["user", "list"], token: boss).output.contains("boss@acme.example"))
    #expect(try up.godwit(["source", "add"], token: boss).status == 0)
    let elsewhere = try up.godwit(["source", "list"], token: boss, tenant: "default")
    #expect(elsewhere.status == 1 && elsewhere.output.contains("not_found"), "\(elsewhere.output)")
    #expect(try up.godwit(["tenant", "list"], token: boss).output.contains("tenant_needed"))

    let program = try up.godwit(["token", "add", "ci", "--scopes", "read"], token: boss).output
    #expect(program.hasPrefix("gwt_"), "\(program)")
    #expect(try up.godwit(["source", "list"], token: program).status == 0)
    let refused = try up.godwit(["source", "add"], token: program)
    #expect(refused.status == 1 && refused.output.contains("not_allowed"), "\(refused.output)")
    #expect(try up.godwit(["source", "list"], token: "gwa_wrong").output.contains("token_refused"))
    try await direct(up, program)
    #expect(try up.godwit(["sign-out"], token: boss).status == 0)
    #expect(try up.godwit(["sign-out"], token: boss).output.contains("token_refused"))
  }

  /// An access token got and used by hand, and the keys that anyone may check it with.
  private func direct(_ up: UpProcess, _ program: String) async throws {
    let ca = try String(contentsOfFile: up.facts.ca, encoding: .utf8)
    func client(_ token: String) throws -> RESTClient {
      try RESTClient(name: "godwit", endpoint: .web(url: up.facts.url, ca: ca)) { "Bearer " + token }
    }
    let grant: IdentityAPI.AccessGrant = try await client(program).post("/v1/token", IdentityAPI.TokenWish())
    let keys: KeySet = try await client("none").get("/.well-known/jwks.json")
    let token = try CompactJWS(parsing: grant.accessToken)
    #expect(keys.publicKeys[token.header.kid ?? ""].map(token.isSigned(by:)) == true)
    let sources: MigrationAPI.Page<MigrationAPI.Source> = try await client(grant.accessToken).get(
      "/v1/tenants/acme/sources")
    #expect(sources.items.isEmpty)
    let targets: [CloudsAPI.Target] = try await client(grant.accessToken).get("/v1/tenants/acme/targets")
    #expect(targets.isEmpty)
  }
}
