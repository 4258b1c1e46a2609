import Synchronization
import Wire

/// Gets access tokens for what people and programs show: sessions and API tokens. One that was got serves for a
/// minute, unless it is revoked.
public final class TokenExchange: Sendable {
  /// Seconds.
  static let memory = 60.0
  private static let most = 10_000
  /// For which a request too many is held before it is refused: who asks on and on, on so many connections, asks less.
  private static let slowing = Duration.milliseconds(250)

  private struct Key: Hashable { var secret: String, tenant: String? }
  private let endpoint: RESTClient.Endpoint
  private let directory: KeyDirectory
  private let rates = TenantRates()
  private struct State {
    var kept: [Key: (token: String, until: ContinuousClock.Instant)] = [:]
    /// What is being asked for: many requests at once with one credential need one token.
    var asking: Set<Key> = []
  }
  private enum Turn { case found(String), wait, ask }
  private let state = Mutex(State())

  /// - Parameter endpoint: of the identity service.
  /// - Throws: `ConfigurationError` for an address that cannot be used.
  public init(_ endpoint: RESTClient.Endpoint) throws {
    (self.endpoint, directory) = (endpoint, try KeyDirectory.of(endpoint))
  }

  /// Whether this is something to be exchanged: what is signed is not.
  public static func isCredential(_ secret: String) -> Bool { secret.hasPrefix("gws_") || secret.hasPrefix("gwt_") }

  /// - Throws: the identity service's `Problem`, or 429 where the tenant asks too often: so that a flood ends here.
  public func accessToken(for secret: String, tenant: String?) async throws -> String {
    let token = try await exchanged(secret, tenant)
    guard let claims = try? CompactJWS(parsing: token).claims(as: AccessToken.self) else { return token }
    do { try rates.admit(claims) } catch {
      try await Task.sleep(for: Self.slowing)
      throw error
    }
    return token
  }

  private func exchanged(_ secret: String, _ tenant: String?) async throws -> String {
    let key = Key(secret: secret, tenant: tenant)
    if let known = state.withLock({ $0.kept[key]?.token }), try await isRevoked(known) {
      state.withLock { if $0.kept[key]?.token == known { $0.kept[key] = nil } }
    }
    while true {
      let turn = state.withLock { state -> Turn in
        if let found = state.kept[key], found.until > .now { return .found(found.token) }
        return state.asking.insert(key).inserted ? .ask : .wait
      }
      switch turn {
      case .found(let token): return token
      case .wait: try await Task.sleep(for: .milliseconds(10))
      case .ask:
        defer { state.withLock { _ = $0.asking.remove(key) } }
        let token = try await grant(secret, tenant).accessToken
        state.withLock { state in
          if state.kept.count >= Self.most { state.kept = [:] }
          state.kept[key] = (token, .now + .seconds(Self.memory))
        }
        return token
      }
    }
  }

  /// Whether it was revoked meanwhile, as far as the identity service has told.
  private func isRevoked(_ token: String) async throws -> Bool {
    guard let parsed = try? CompactJWS(parsing: token), let kid = parsed.header.kid,
      let claims = try? parsed.claims(as: AccessToken.self)
    else { return true }
    _ = try await directory.key(kid)
    return directory.isRevoked(claims)
  }

  private func grant(_ secret: String, _ tenant: String?) async throws -> IdentityAPI.AccessGrant {
    let client = try RESTClient(name: "identity", endpoint: endpoint) { "Bearer " + secret }
    do { return try await client.post("/v1/token", IdentityAPI.TokenWish(tenant: tenant)) } catch let problem as Problem
    {
      // Where the service is does not concern strangers.
      throw problem.code == "unreachable" ? .identityAway : problem
    }
  }
}
