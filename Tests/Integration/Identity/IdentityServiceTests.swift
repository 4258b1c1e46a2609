import Foundation
import NIOCore
import NIOHTTP1
import Testing
import Wire

@testable import Identity
@testable import ServiceKit

@Suite(.timeLimit(.minutes(1))) struct IdentityServiceTests {
  @Test func `From the admin token to an owner, who invites a viewer; each gets a token of his role`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let owner = try await identity.join("acme", .owner)
      #expect(owner.memberships == [.init(tenant: "acme", name: "acme", role: .owner)])
      let acting = try await identity.acting(owner, in: "acme")
      let invitation: IdentityAPI.Invitation = try await acting.post(
        "/v1/tenants/acme/invitations", IdentityAPI.InvitationWish(email: "V@Acme.example", role: .viewer))
      let acceptance = IdentityAPI.Acceptance(
        token: invitation.token ?? "", name: "Vera", password: "another long password")
      let member: IdentityAPI.Member = try await identity.client(nil).post("/v1/invitations/accept", acceptance)
      #expect(member.email == "v@acme.example" && member.role == .viewer)
      let again = await #expect(throws: Problem.self) {
        try await identity.client(nil).post("/v1/invitations/accept", acceptance, as: IdentityAPI.Member.self)
      }
      #expect(again?.code == "invitation_refused")
      let viewer = try await identity.signIn("v@ACME.example", "another long password")
      let grant = try await identity.grant(viewer.token, tenant: "acme")
      #expect(grant.role == .viewer && grant.scopes == [.read] && grant.expiresIn == 300)
      let users: MigrationAPI.Page<IdentityAPI.Member> = try await identity.client(grant.accessToken).get(
        "/v1/tenants/acme/users?limit=1")
      #expect(users.items.count == 1 && users.next != nil)
      let refused = await #expect(throws: Problem.self) {
        try await identity.client(grant.accessToken).delete("/v1/tenants/acme/users/\(member.id)")
      }
      #expect(refused?.code == "not_allowed")
      let stranger = await #expect(throws: Problem.self) { try await identity.grant(viewer.token, tenant: "default") }
      #expect(stranger?.status == 404)
    }
  }

  @Test func `After five wrong passwords even the right one waits, and many at once gain nothing`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let email = try await identity.join("acme", .viewer).user.email
      let codes = await withTaskGroup(of: String?.self) { group in
        for guess in 0..<40 {
          group.addTask {
            do { _ = try await identity.signIn(email, "wrong password \(guess)") } catch {
              return (error as? Problem)?.code
            }
            return nil
          }
        }
        return await group.reduce(into: [String: Int]()) { $0[$1 ?? "let in", default: 0] += 1 }
      }
      #expect(codes["let in"] == nil)
      // Each pause that ended meanwhile lets one more through.
      #expect((5...8).contains(codes["sign_in_refused"] ?? 0), "\(codes)")
      let waits = await #expect(throws: Problem.self) { try await identity.signIn(email) }
      #expect(waits?.code == "too_many_attempts" && waits?.status == 429)
      identity.clock.advance(by: 900)
      let session = try await identity.signIn(email)
      _ = await #expect(throws: Problem.self) { try await identity.signIn(email, "wrong again, but free") }
      #expect(try await identity.signIn(email).id != session.id)
      let unknown = await #expect(throws: Problem.self) { try await identity.signIn("nobody@acme.example") }
      #expect(unknown?.code == "sign_in_refused")
    }
  }

  @Test func `A session ends by signing out, by age, by a new password elsewhere, and with its user`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let first = try await identity.join("acme", .viewer)
      try await identity.client(first.token).delete("/v1/session")
      try await expectRefused(identity, first)
      let (second, third) = (try await identity.signIn(first.user.email), try await identity.signIn(first.user.email))
      let change = IdentityAPI.PasswordChange(old: IdentityHarness.password, new: "quite another password")
      _ = try await identity.client(third.token).send(
        .PUT, "/v1/session/password", body: .init(bytes: try JSONEncoder().encode(change)))
      try await expectRefused(identity, second)
      _ = try await identity.grant(third.token, tenant: "acme")
      identity.clock.advance(by: 12 * 3600)
      try await expectRefused(identity, third)
      let last = try await identity.signIn(first.user.email, "quite another password")
      let body = try JSONEncoder().encode(IdentityAPI.UserChange(disabled: true))
      _ = try await identity.client(identity.admin.text).send(
        .PATCH, "/v1/users/\(last.user.id)", body: .init(bytes: body))
      try await expectRefused(identity, last)
    }
  }

  @Test func `A second factor is asked for once it is in force; a code or a recovery code serves once`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let session = try await identity.join("acme", .viewer)
      let (mine, path, email) = (try identity.client(session.token), "/v1/session/second-factor", session.user.email)
      let factor: IdentityAPI.SecondFactor = try await mine.post(path, IdentityAPI.TokenWish())
      #expect(factor.url.hasPrefix("otpauth://totp/Godwit:viewer") && factor.recoveryCodes.count == 10)
      _ = try await identity.signIn(email)
      func code() throws -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let bits = factor.secret.flatMap { letter in
          let value = alphabet.firstIndex(of: letter) ?? 0
          return (0..<5).map { value >> (4 - $0) & 1 }
        }
        let bytes = stride(from: 0, to: 160, by: 8).map { UInt8(bits[$0..<$0 + 8].reduce(0) { $0 * 2 + $1 }) }
        return TOTP.code(bytes, step: Int(identity.clock.now) / 30)
      }
      func body(_ code: String) throws -> ByteBuffer {
        .init(bytes: try JSONEncoder().encode(IdentityAPI.Code(code: code)))
      }
      func signIn(_ code: String?) async throws -> IdentityAPI.Session {
        let wish = IdentityAPI.SignIn(email: email, password: IdentityHarness.password, code: code)
        return try await identity.client(nil).post("/v1/sessions", wish)
      }
      func refusal(_ code: String?) async -> String? {
        await #expect(throws: Problem.self) { try await signIn(code) }?.code
      }
      _ = try await mine.send(.PUT, path, body: try body(try code()))
      #expect(await refusal(nil) == "second_factor_needed")
      #expect(await refusal(try? code()) == "second_factor_refused", "the code that put it in force has served")
      identity.clock.advance(by: 30)
      _ = try await signIn(try code())
      #expect(await refusal(try? code()) == "second_factor_refused")
      _ = try await signIn(factor.recoveryCodes[3])
      #expect(await refusal(factor.recoveryCodes[3]) == "second_factor_refused")
      try await identity.tenant("globex")
      let invitation: IdentityAPI.Invitation = try await identity.client(identity.admin.text).post(
        "/v1/tenants/globex/invitations", IdentityAPI.InvitationWish(email: email, role: .viewer))
      let acceptance = IdentityAPI.Acceptance(
        token: invitation.token ?? "", password: IdentityHarness.password, code: "000000")
      let unproven = await #expect(throws: Problem.self) {
        try await identity.client(nil).post("/v1/invitations/accept", acceptance, as: IdentityAPI.Member.self)
      }
      #expect(unproven?.code == "second_factor_refused", "the password alone accepts nothing")
      for guess in 1...3 { #expect(await refusal("00000\(guess)") == "second_factor_refused") }
      #expect(await refusal("000009") == "too_many_attempts")
      try await identity.client(identity.admin.text).delete("/v1/users/\(session.user.id)/second-factor")
      identity.clock.advance(by: 900)
      _ = try await signIn(nil)
    }
  }

  @Test func `An API token does what its scopes and its user may, until it ends or is revoked`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let (owner, admin) = (try await identity.join("acme", .owner), try await identity.join("acme", .admin))
      let acting = try await identity.acting(admin, in: "acme")
      let path = "/v1/tenants/acme/api-tokens"
      let wish = IdentityAPI.APITokenWish(name: "ci", scopes: [.migrate, .configure], expiresIn: 3600)
      let token: IdentityAPI.APIToken = try await acting.post(path, wish)
      let tooMuch = await #expect(throws: Problem.self) {
        let wish = IdentityAPI.APITokenWish(name: "ci", scopes: [.own], expiresIn: 3600)
        return try await acting.post(path, wish, as: IdentityAPI.APIToken.self)
      }
      #expect(tooMuch?.code == "not_allowed")
      let grant = try await identity.grant(token.token)
      #expect(grant.tenant == "acme" && grant.scopes == [.migrate, .configure])
      let breeds = await #expect(throws: Problem.self) {
        try await identity.client(grant.accessToken).post(path, wish, as: IdentityAPI.APIToken.self)
      }
      #expect(breeds?.status == 403)
      // Its user is made less.
      let owning = try await identity.acting(owner, in: "acme")
      _ = try await owning.put(
        "/v1/tenants/acme/users/\(admin.user.id)", IdentityAPI.RoleWish(role: .migrator), as: IdentityAPI.Member.self)
      #expect(try await identity.grant(token.token).scopes == [.migrate])
      let listed: MigrationAPI.Page<IdentityAPI.APIToken> = try await owning.get(path)
      #expect(listed.items.map(\.id) == [token.id] && listed.items[0].token == nil)
      try await owning.delete(path + "/" + token.id)
      await #expect(throws: Problem.tokenRefused) { try await identity.grant(token.token) }
      let short: IdentityAPI.APIToken = try await acting.post(path, wish.with(seconds: 60))
      identity.clock.advance(by: 61)
      await #expect(throws: Problem.tokenRefused) { try await identity.grant(short.token) }
    }
  }

  @Test func `The last owner stays`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let owner = try await identity.join("acme", .owner)
      let acting = try await identity.acting(owner, in: "acme")
      let path = "/v1/tenants/acme/users/\(owner.user.id)"
      let less = await #expect(throws: Problem.self) {
        try await acting.put(path, IdentityAPI.RoleWish(role: .admin), as: IdentityAPI.Member.self)
      }
      #expect(less?.code == "last_owner")
      let gone = await #expect(throws: Problem.self) { try await acting.delete(path) }
      #expect(gone?.code == "last_owner")
    }
  }

  @Test func `Keys rotate without a token refused, and the old one goes`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let sre = try await identity.operate(.sre)
      let acting = try await identity.acting(sre, in: nil)
      let keys: @Sendable () async throws -> [IdentityAPI.SigningKey] = {
        try await acting.get("/v1/signing-keys")
      }
      let first = try await keys()
      _ = try await acting.send(.POST, "/v1/signing-keys/rotate")
      _ = try await acting.send(.POST, "/v1/signing-keys/rotate")
      #expect(try await keys().count == 2, "one that waits is answered again")
      let open = try identity.client(nil)
      let now: @Sendable () -> Double = { identity.clock.now }
      let verifier = AccessTokenVerifier(
        KeyDirectory(now: now) { try await open.get("/.well-known/jwks.json") }, now: now)
      var (used, before): (Set<String>, CompactJWS?) = ([], nil)
      for _ in 0..<30 {
        identity.clock.advance(by: 60)
        let token = try CompactJWS(parsing: try await identity.grant(sre.token).accessToken)
        _ = try await verifier.verify(token)
        if let before { _ = try await verifier.verify(before) }
        (used, before) = (used.union([token.header.kid ?? ""]), token)
      }
      #expect(used.count == 2)
      let set: KeySet = try await identity.client(nil).get("/.well-known/jwks.json")
      #expect(set.keys.count == 1 && set.keys.first?.kid != first.first?.kid)
      let files = try FileManager.default.contentsOfDirectory(atPath: identity.folder + "/identity/keys")
      #expect(files == [(set.keys.first?.kid ?? "") + ".key"])
    }
  }

  @Test func `Everything outlives a restart, and no secret lies in the database`() async throws {
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let owner = try await identity.join("acme", .owner)
      let acting = try await identity.acting(owner, in: "acme")
      let token: IdentityAPI.APIToken = try await acting.post(
        "/v1/tenants/acme/api-tokens", IdentityAPI.APITokenWish(name: "n", scopes: [.read], expiresIn: 3600))
      let folder = identity.folder + "/identity"
      let written = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0 != "keys" }
        .map { try Data(contentsOf: URL(filePath: folder + "/" + $0)) }.reduce(Data(), +)
      #expect(written.range(of: Data("acme.example".utf8)) != nil)
      for secret in [token.token ?? "", owner.token ?? "", IdentityHarness.password, identity.admin.text] {
        #expect(written.range(of: Data(secret.utf8)) == nil)
      }
      let other = identity.another
      try await other.service {
        #expect(try await other.grant(token.token).scopes == [.read])
        _ = try await other.grant(owner.token, tenant: "acme")
      }
    }
  }

  private func expectRefused(_ identity: IdentityHarness, _ session: IdentityAPI.Session) async throws {
    await #expect(throws: Problem.tokenRefused) { try await identity.grant(session.token, tenant: "acme") }
  }
}

extension IdentityAPI.APITokenWish {
  fileprivate func with(seconds: Int) -> Self { .init(name: name, scopes: [.migrate], expiresIn: seconds) }
}
