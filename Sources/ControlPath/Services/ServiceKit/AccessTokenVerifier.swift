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
    return claims
  }
}

/// The keys that access tokens are signed with. Asked for anew after 5 minutes, and at once for a key that is not known;
/// what is known stays good for a day while the identity service is away.
public final class KeyDirectory: Sendable {
  public typealias Source = @Sendable () async throws -> KeySet

  /// Seconds. A new key is published for twice the first before it signs.
  public static let freshness = 300.0
  private static let patience = 86_400.0
  private static let pause = 1.0

  private struct State {
    var keys: [String: [UInt8]] = [:]
    var fetchedAt = -Double.infinity
    var triedAt = -Double.infinity
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
    let time = now()
    let (known, isDue) = state.withLock { state -> ([UInt8]?, Bool) in
      let found = time - state.fetchedAt < Self.patience ? state.keys[kid] : nil
      let isFresh = found != nil && time - state.fetchedAt < Self.freshness
      return (found, !isFresh && time - state.triedAt >= Self.pause)
    }
    guard isDue else { return known }
    do {
      let keys = try await source().publicKeys
      return state.withLock { state in
        state = State(keys: keys, fetchedAt: time, triedAt: time)
        return keys[kid]
      }
    } catch {
      let isEmpty = state.withLock { state in
        state.triedAt = time
        return state.keys.isEmpty
      }
      guard isEmpty else { return known }
      throw Problem.identityAway
    }
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
