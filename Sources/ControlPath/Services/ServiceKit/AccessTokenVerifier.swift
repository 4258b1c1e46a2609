public import FoundationEssentials
import NIOCore
import Synchronization
public import Wire

/// Checks access tokens offline, with the identity service's published keys.
public struct AccessTokenVerifier: Sendable {
  private let directory: KeyDirectory
  private let now: @Sendable () -> Double

  public init(_ directory: KeyDirectory, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }) {
    (self.directory, self.now) = (directory, now)
  }

  /// - Throws: `Problem` 401 `token_refused`, or 401 `token_expired`; 503 where no key was ever got.
  func verify(_ token: CompactJWS) async throws -> AccessToken {
    guard token.header.typ == AccessToken.type, let kid = token.header.kid,
      let key = try await directory.key(kid), token.isSigned(by: key),
      let claims = try? token.claims(as: AccessToken.self), claims.iss == AccessToken.issuer,
      claims.aud == AccessToken.audience, claims.exp - claims.iat <= AccessToken.life
    else { throw Problem.tokenRefused }
    let seconds = Int(now())
    guard claims.iat <= seconds + 30 else { throw Problem.tokenRefused }
    guard claims.exp > seconds else { throw Problem.accessTokenExpired }
    guard !directory.isRevoked(claims) else { throw Problem.tokenRefused }
    return claims
  }
}

/// The keys that access tokens are signed with, and what was revoked. Asked for anew after a few seconds, and at once for a
/// key that is not known; keys that are known stay good for a day while the identity service is away.
public final class KeyDirectory: Sendable {
  public typealias Source = @Sendable () async throws -> KeySet

  /// Seconds that a new key is published before it signs, at least: everybody has it by then.
  public static let lead = 300.0
  /// Seconds after which somebody who asks has it asked for anew; what was revoked is of no use after them.
  static let freshness = 5.0
  private static let patience = 86_400.0
  private static let pause = 1.0

  private struct State {
    var keys: [String: [UInt8]] = [:]
    var revoked: [String: Int] = [:]
    var fetchedAt = -Double.infinity
    var triedAt = -Double.infinity
    /// Somebody asks just now.
    var isAsking = false
  }
  private let source: Source
  private let now: @Sendable () -> Double
  private let state = Mutex(State())

  /// - Parameter source: the key set of now; throws while it cannot be had.
  public init(now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }, source: @escaping Source) {
    (self.now, self.source) = (now, source)
  }

  /// Of the identity service at `endpoint`.
  public static func of(_ endpoint: RESTClient.Endpoint) throws -> KeyDirectory {
    let client = try RESTClient(name: "identity", endpoint: endpoint, timeout: .seconds(5))
    return KeyDirectory { try await client.get("/.well-known/jwks.json") }
  }

  /// The 32 bytes of a key; nil where there is none of that name.
  /// - Throws: `Problem` 503 where no key is known at all.
  func key(_ kid: String) async throws -> [UInt8]? {
    while true {
      let time = now()
      let (known, next) = state.withLock { state -> ([UInt8]?, Next) in
        let found = time - state.fetchedAt < Self.patience ? state.keys[kid] : nil
        let isFresh = found != nil && time - state.fetchedAt < Self.freshness
        if isFresh || time - state.triedAt < Self.pause { return (found, state.keys.isEmpty ? .fail : .answer) }
        // One asks for all; who knows the key does not wait for it.
        if state.isAsking { return (found, found == nil ? .wait : .answer) }
        state.isAsking = true
        return (found, .ask)
      }
      switch next {
      case .answer: return known
      case .fail: throw Problem.identityAway
      case .wait: try await Task.sleep(for: .milliseconds(20))
      case .ask: try await ask(at: time)
      }
    }
  }

  func isRevoked(_ token: AccessToken) -> Bool { token.isRevoked(by: state.withLock { $0.revoked }) }

  private enum Next { case answer, fail, wait, ask }

  /// Asks the source; where it does not answer, what is known stays.
  private func ask(at time: Double) async throws {
    let found = try? await source()
    let keys = found?.publicKeys
    state.withLock { state in
      state.isAsking = false
      // A cancelled request has found out nothing.
      if keys == nil, Task.isCancelled { return }
      state.triedAt = time
      if let keys { (state.keys, state.fetchedAt) = (keys, time) }
      if let found { state.revoked = found.revoked ?? [:] }
    }
    try Task.checkCancellation()
  }
}

extension Problem {
  /// 503.
  static let identityAway = Problem(
    code: "identity_away", status: 503, detail: "The identity service does not answer.",
    remedy: "Try again in a moment; see the platform's log if it lasts.")

  /// 401: an access token past its five minutes.
  public static let accessTokenExpired = Problem(
    code: "token_expired", status: 401, detail: "The access token is too old.",
    remedy: "Ask for a new one: POST /v1/token.")
}
