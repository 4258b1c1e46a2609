import Foundation
import NIOCore
import NIOHTTP1
import Testing
import Wire

@testable import Identity
@testable import ServiceKit

/// Sign-in by OpenID Connect, at a real provider.
@Suite(.serialized, .timeLimit(.minutes(3))) struct SignOnTests {
  private static func wish(_ facts: SignOnProviderProcess.Facts) -> IdentityAPI.SignOnProviderWish {
    .init(
      name: "Provider", issuer: facts.issuer, clientID: facts.client, clientSecret: facts.secret, tenant: "acme",
      role: .migrator, redirectURIs: [SignOnProviderProcess.redirectURI])
  }

  private func with(
    _ body: @escaping @Sendable (IdentityHarness, SignOnProviderProcess, RESTClient) async throws -> Void
  ) async throws {
    let provider = try SignOnProviderProcess()
    defer { provider.end() }
    try await IdentityHarness.run { identity in
      try await identity.tenant("acme")
      let operatorClient = try await identity.acting(try await identity.operate(.platformAdmin), in: nil)
      let made: IdentityAPI.SignOnProvider = try await operatorClient.put(
        "/v1/sign-on-providers/corp", Self.wish(provider.facts))
      #expect(made.issuer == provider.facts.issuer)
      try await body(identity, provider, operatorClient)
    }
  }

  private func begin(_ identity: IdentityHarness) async throws -> IdentityAPI.SignOnBeginning {
    try await identity.client(nil).post(
      "/v1/sign-on/corp", IdentityAPI.SignOnWish(redirectURI: SignOnProviderProcess.redirectURI))
  }

  private func complete(_ identity: IdentityHarness, _ state: String?, _ code: String?) async throws
    -> IdentityAPI.Session
  {
    try await identity.client(nil).post(
      "/v1/sign-on/corp/session", IdentityAPI.SignOnReturn(state: state ?? "", code: code ?? ""))
  }

  private func refusal(_ body: () async throws -> IdentityAPI.Session) async -> String? {
    let problem = await #expect(throws: Problem.self) { _ = try await body() }
    return problem?.code
  }

  @Test func `Whoever signs in at the provider is a user of its tenant, the same one every time, without a password`()
    async throws
  {
    try await with { identity, provider, operatorClient in
      let choices: [IdentityAPI.SignOnChoice] = try await identity.client(nil).get("/v1/sign-on")
      #expect(choices == [.init(id: "corp", name: "Provider")])
      let first = try await begin(identity)
      let back = try provider.visit(first.url)
      #expect(back["state"] == first.state)
      let session = try await complete(identity, back["state"], back["code"])
      #expect(session.user.email == provider.facts.email)
      #expect(session.memberships == [.init(tenant: "acme", name: "acme", role: .migrator)])
      let grant = try await identity.grant(session.token, tenant: "acme")
      #expect(grant.role == .migrator)
      // The provider takes a code once.
      #expect(await refusal { try await complete(identity, back["state"], back["code"]) } == "sign_on_refused")
      // An owner's word on the role is kept.
      _ = try await identity.client(identity.admin.text).put(
        "/v1/tenants/acme/users/\(session.user.id)", IdentityAPI.RoleWish(role: .viewer), as: IdentityAPI.Member.self)
      let later = try provider.visit(try await begin(identity).url)
      let again = try await complete(identity, later["state"], later["code"])
      #expect(again.user.id == session.user.id && again.memberships.map(\.role) == [.viewer])
      for password in ["", provider.facts.password] {
        #expect(await refusal { try await identity.signIn(provider.facts.email, password) } == "sign_in_refused")
      }
      // A stranger's tries are counted: the 31st of one address waits.
      var waits: String?
      for _ in 0..<40 where waits == nil {
        do { _ = try await begin(identity) } catch let problem as Problem { waits = problem.code }
      }
      #expect(waits == "too_many_attempts")
      // Without its provider nobody comes by it, and nobody stays.
      try await operatorClient.delete("/v1/sign-on-providers/corp")
      let gone = await #expect(throws: Problem.self) { try await identity.grant(again.token, tenant: "acme") }
      #expect(gone?.status == 401)
    }
  }

  @Test func `A state or a code that is another's, changed, or late is refused, and a disabled user too`() async throws
  {
    try await with { identity, provider, operatorClient in
      let (mine, other) = (try await begin(identity), try await begin(identity))
      let back = try provider.visit(mine.url)
      // The nonce and PKCE of the other sign-in.
      #expect(await refusal { try await complete(identity, other.state, back["code"]) } == "sign_on_refused")
      let changed = String(mine.state.dropLast(2)) + (mine.state.hasSuffix("AA") ? "BB" : "AA")
      #expect(await refusal { try await complete(identity, changed, back["code"]) } == "sign_on_refused")
      #expect(await refusal { try await complete(identity, "", "") } == "sign_on_refused")
      let late = try await begin(identity)
      let lateBack = try provider.visit(late.url)
      identity.clock.advance(by: 601)
      #expect(await refusal { try await complete(identity, late.state, lateBack["code"]) } == "sign_on_refused")
      identity.clock.advance(by: -601)
      let good = try provider.visit(try await begin(identity).url)
      let session = try await complete(identity, good["state"], good["code"])
      _ = try await operatorClient.send(
        .PATCH, "/v1/users/\(session.user.id)",
        body: ByteBuffer(bytes: try JSONEncoder().encode(IdentityAPI.UserChange(disabled: true))))
      let next = try provider.visit(try await begin(identity).url)
      #expect(await refusal { try await complete(identity, next["state"], next["code"]) } == "sign_in_refused")
    }
  }

  @Test func `An address that is somebody's already is not taken over`() async throws {
    try await with { identity, provider, _ in
      let invitation: IdentityAPI.Invitation = try await identity.client(identity.admin.text).post(
        "/v1/tenants/acme/invitations", IdentityAPI.InvitationWish(email: provider.facts.email, role: .owner))
      _ = try await identity.client(nil).post(
        "/v1/invitations/accept",
        IdentityAPI.Acceptance(token: invitation.token ?? "", name: "V", password: IdentityHarness.password),
        as: IdentityAPI.Member.self)
      let back = try provider.visit(try await begin(identity).url)
      #expect(await refusal { try await complete(identity, back["state"], back["code"]) } == "conflict")
    }
  }

  @Test func `A provider is named by the operator alone, with TLS, and its secret goes to no other`() async throws {
    try await with { identity, provider, operatorClient in
      let owner = try await identity.acting(try await identity.join("acme", .owner), in: "acme")
      let refused = await #expect(throws: Problem.self) {
        try await owner.put(
          "/v1/sign-on-providers/mine", Self.wish(provider.facts), as: IdentityAPI.SignOnProvider.self)
      }
      #expect(refused?.status == 403)
      func status(_ change: (inout IdentityAPI.SignOnProviderWish) -> Void) async throws -> Int? {
        var wish = Self.wish(provider.facts)
        change(&wish)
        do {
          let _: IdentityAPI.SignOnProvider = try await operatorClient.put("/v1/sign-on-providers/corp", wish)
          return nil
        } catch let problem as Problem { return problem.status }
      }
      #expect(try await status { $0.clientSecret = nil } == nil)
      #expect(try await status { ($0.clientSecret, $0.issuer) = (nil, "https://else.example") } == 400)
      #expect(try await status { $0.issuer = "http://else.example" } == 400)
      #expect(try await status { $0.redirectURIs = ["http://else.example/back"] } == 400)
      #expect(try await status { $0.role = .owner } == 400)
      #expect(try await status { $0.role = .platformAdmin } == 400)
      #expect(try await status { $0.tenant = "nobody" } == 400)
      let elsewhere = await #expect(throws: Problem.self) {
        try await identity.client(nil).post(
          "/v1/sign-on/corp", IdentityAPI.SignOnWish(redirectURI: "https://else.example/back"),
          as: IdentityAPI.SignOnBeginning.self)
      }
      #expect(elsewhere?.status == 400)
      let text = try await operatorClient.bytes("/v1/sign-on-providers/corp")
      #expect(!String(decoding: text, as: UTF8.self).contains(provider.facts.secret))
    }
  }
}
