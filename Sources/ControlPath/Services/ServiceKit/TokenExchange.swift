import Synchronization
import Wire

/// Gets access tokens for what people and programs show: sessions and API tokens. One that was got serves for a few
/// seconds, so that a revoked credential is of no use after them.
public final class TokenExchange: Sendable {
  /// Seconds.
  static let memory = 5.0
  private static let most = 10_000

  private struct Key: Hashable { var secret: String, tenant: String? }
  private let endpoint: RESTClient.Endpoint
  private let rates = TenantRates()
  private let kept = Mutex<[Key: (token: String, until: ContinuousClock.Instant)]>([:])

  /// - Parameter endpoint: of the identity service.
  public init(_ endpoint: RESTClient.Endpoint) { self.endpoint = endpoint }

  /// Whether this is something to be exchanged: what is signed is not.
  public static func isCredential(_ secret: String) -> Bool { secret.hasPrefix("gws_") || secret.hasPrefix("gwt_") }

  /// - Throws: the identity service's `Problem`, or 429 where the tenant asks too often: so that a flood ends here.
  public func accessToken(for secret: String, tenant: String?) async throws -> String {
    let token = try await exchanged(secret, tenant)
    if let claims = try? CompactJWS(parsing: token).claims(as: AccessToken.self) { try rates.admit(claims) }
    return token
  }

  private func exchanged(_ secret: String, _ tenant: String?) async throws -> String {
    let key = Key(secret: secret, tenant: tenant)
    if let found = kept.withLock({ $0[key] }), found.until > .now { return found.token }
    let client = try RESTClient(name: "identity", endpoint: endpoint) { "Bearer " + secret }
    let grant: IdentityAPI.AccessGrant
    do {
      grant = try await client.post("/v1/token", IdentityAPI.TokenWish(tenant: tenant))
    } catch let problem as Problem {
      // Where the service is does not concern strangers.
      throw problem.code == "unreachable" ? .identityAway : problem
    }
    kept.withLock { kept in
      if kept.count >= Self.most { kept = [:] }
      kept[key] = (grant.accessToken, .now + .seconds(Self.memory))
    }
    return grant.accessToken
  }
}
