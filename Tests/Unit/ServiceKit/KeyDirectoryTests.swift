import Foundation
import Synchronization
import Testing
import Wire

@testable import ServiceKit

/// Whom a service asks for keys, how often, and how soon it knows what was revoked.
@Suite(.timeLimit(.minutes(1))) struct KeyDirectoryTests {
  private final class Identity: Sendable {
    let asked = Mutex(0)
    let answers = Mutex(true)
    let revoked = Mutex<[String: Int]>([:])
    let key = AgentKey()

    func keySet() async throws -> KeySet {
      asked.withLock { $0 += 1 }
      try await Task.sleep(for: .milliseconds(200))
      guard answers.withLock({ $0 }) else { throw Problem.identityAway }
      return KeySet(keys: [.init(publicKey: key.publicKey)], revoked: revoked.withLock { $0 })
    }
  }

  @Test
  func `However many ask for an unknown key, the identity service is asked once; it hangs, and nobody who knows waits`()
    async throws
  {
    let identity = Identity()
    let time = Mutex(1000.0)
    let directory = KeyDirectory(now: { time.withLock { $0 } }) { try await identity.keySet() }
    let found = try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<100 {
        group.addTask { try await directory.key(number % 2 == 0 ? identity.key.thumbprint : "none") != nil }
      }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(found == 50 && identity.asked.withLock { $0 } == 1)

    identity.answers.withLock { $0 = false }
    time.withLock { $0 += 400 }
    let start = ContinuousClock.now
    async let asking = directory.key("none")
    try await Task.sleep(for: .milliseconds(50))
    for _ in 0..<100 { #expect(try await directory.key(identity.key.thumbprint) != nil) }
    #expect(ContinuousClock.now - start < .milliseconds(190))
    #expect(try await asking == nil)
    #expect(identity.asked.withLock { $0 } == 2)
  }

  @Test func `Nobody who knows nothing is told that a token is bad while the identity service is away`() async throws {
    let identity = Identity()
    identity.answers.withLock { $0 = false }
    let directory = KeyDirectory(now: { 1000 }) { try await identity.keySet() }
    for _ in 0..<3 {
      await #expect(throws: Problem.identityAway) { _ = try await directory.key("any") }
    }
    #expect(identity.asked.withLock { $0 } == 1)
  }

  @Test func `What was revoked is refused 10 s later, by session, by user, and by user in one tenant`() async throws {
    let identity = Identity()
    let time = Mutex(1000.0)
    let clock: @Sendable () -> Double = { time.withLock { $0 } }
    let verifier = AccessTokenVerifier(KeyDirectory(now: clock) { try await identity.keySet() }, now: clock)
    func token(_ sid: String, at iat: Int) throws -> CompactJWS {
      let claims = AccessToken(sub: "usr-1", tenant: "acme", role: .owner, scopes: [.read], sid: sid, now: iat)
      let header = CompactJWS.Header(typ: AccessToken.type, kid: identity.key.thumbprint)
      return try CompactJWS(parsing: try CompactJWS.sign(claims, header: header, with: identity.key))
    }
    for name in ["ses-1", "usr-1", "usr-1@acme"] {
      identity.revoked.withLock { $0 = [:] }
      time.withLock { $0 += 100 }
      let now = Int(clock())
      _ = try await verifier.verify(try token("ses-1", at: now))
      identity.revoked.withLock { $0 = [name: now] }
      time.withLock { $0 += 10 }
      await #expect(throws: Problem.tokenRefused) { _ = try await verifier.verify(try token("ses-1", at: now)) }
      // What was made after it, as by a new role, is good.
      _ = try await verifier.verify(try token("ses-1", at: now + 1))
    }
  }
}
