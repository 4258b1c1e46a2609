import Synchronization
import Testing
import Wire

@testable import ServiceKit

struct AccessTokenTests {
  /// Keys as they are published, the clock, and how often they were asked for.
  private final class Publisher: Sendable {
    struct Away: Error {}
    let state = Mutex((keys: [AgentKey](), time: 1_000_000.0, asked: 0, isAway: false))

    init(_ keys: [AgentKey]) { state.withLock { $0.keys = keys } }

    var verifier: AccessTokenVerifier {
      let now: @Sendable () -> Double = { self.state.withLock { $0.time } }
      return AccessTokenVerifier(
        KeyDirectory(now: now) {
          try self.state.withLock { state in
            state.asked += 1
            if state.isAway { throw Away() }
            return KeySet(keys: state.keys.map { KeySet.Key(publicKey: $0.publicKey) })
          }
        }, now: now)
    }

    func token(
      _ key: AgentKey, typ: String = AccessToken.type, kid: String? = nil,
      change: (inout AccessToken) -> Void = { _ in }
    ) throws -> CompactJWS {
      var claims = AccessToken(
        sub: "usr-1", tenant: "acme", role: .viewer, scopes: Role.viewer.rights, sid: "ses-1",
        now: Int(state.withLock { $0.time }))
      change(&claims)
      return try CompactJWS(
        parsing: CompactJWS.sign(claims, header: .init(typ: typ, kid: kid ?? key.thumbprint), with: key))
    }
  }

  @Test func `A token of a published key is taken, offline after the first`() async throws {
    let key = AgentKey()
    let publisher = Publisher([key])
    let verifier = publisher.verifier
    for _ in 0..<5 { #expect(try await verifier.verify(publisher.token(key)).tenant == "acme") }
    #expect(publisher.state.withLock { $0.asked } == 1)
    publisher.state.withLock { ($0.isAway, $0.time) = (true, $0.time + 3600) }
    #expect(try await verifier.verify(publisher.token(key)).sub == "usr-1")
    publisher.state.withLock { $0.time += 2 * 86_400 }
    let token = try publisher.token(key)
    await #expect(throws: Problem.self) { try await verifier.verify(token) }
  }

  @Test func `A new key is asked for at once, and a withdrawn one is refused after five minutes`() async throws {
    let (old, new) = (AgentKey(), AgentKey())
    let publisher = Publisher([old])
    let verifier = publisher.verifier
    _ = try await verifier.verify(publisher.token(old))
    publisher.state.withLock { ($0.keys, $0.time) = ([new], $0.time + 2) }
    _ = try await verifier.verify(publisher.token(new))
    let token = try publisher.token(old)
    await #expect(throws: Problem.tokenRefused) { try await verifier.verify(token) }
  }

  @Test func `Unknown keys do not have the identity service asked more than once a second`() async throws {
    let key = AgentKey()
    let publisher = Publisher([key])
    let verifier = publisher.verifier
    for _ in 0..<50 {
      let token = try publisher.token(AgentKey())
      await #expect(throws: Problem.tokenRefused) { try await verifier.verify(token) }
    }
    #expect(publisher.state.withLock { $0.asked } == 1)
  }

  @Test func `Without any key the answer is that the identity service is away`() async throws {
    let publisher = Publisher([])
    publisher.state.withLock { $0.isAway = true }
    let token = try publisher.token(AgentKey())
    let problem = await #expect(throws: Problem.self) { try await publisher.verifier.verify(token) }
    #expect(problem?.code == "identity_away" && problem?.status == 503)
  }

  @Test func `Another key under its name, another type, issuer or audience, a long life and an end are refused`()
    async throws
  {
    let key = AgentKey()
    let publisher = Publisher([key])
    let verifier = publisher.verifier
    let bad = [
      try publisher.token(AgentKey(), kid: key.thumbprint), try publisher.token(key, typ: ServiceToken.type),
      try publisher.token(key, typ: "JWT"), try publisher.token(key) { $0.iss = "migration" },
      try publisher.token(key) { $0.aud = "gateway" }, try publisher.token(key) { $0.exp += 1 },
      try publisher.token(key) { ($0.iat, $0.exp) = ($0.iat + 60, $0.exp + 60) }
    ]
    for token in bad { await #expect(throws: Problem.tokenRefused) { try await verifier.verify(token) } }
    let ended = try publisher.token(key) { ($0.iat, $0.exp) = ($0.iat - 300, $0.exp - 300) }
    await #expect(throws: Problem.accessTokenExpired) { try await verifier.verify(ended) }
  }

  @Test func `A right needs both role and scope`() {
    func token(_ role: Role, _ scopes: Set<Right>) -> AccessToken {
      AccessToken(sub: "u", tenant: "t", role: role, scopes: scopes, sid: "s", now: 0)
    }
    #expect(token(.owner, [.read]).may(.read) && !token(.owner, [.read]).may(.own))
    #expect(!token(.viewer, Set(Right.allCases)).may(.migrate))
  }
}
