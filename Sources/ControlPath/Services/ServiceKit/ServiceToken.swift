public import FoundationEssentials
public import Wire

/// The claims of a short-lived token by which one service shows another who it is and for which tenant it acts.
public struct ServiceToken: Codable, Hashable, Sendable {
  /// The calling service: `migration`.
  public var iss: String
  /// The called service: `clouds`.
  public var aud: String
  /// For whom the calling service asks, as it has checked: `admin`; nil where it asks for itself.
  public var sub: String?
  /// The tenant, or `*` for every one.
  public var tenant: String
  /// Seconds since 1970.
  public var iat: Int
  public var exp: Int

  static let type = "godwit-service+jwt"
  /// Seconds a token is good for.
  static let life = 60

  public func mayActFor(_ tenant: String) -> Bool { self.tenant == "*" || self.tenant == tenant }
}

/// Signs service tokens.
public struct ServiceTokenIssuer: Sendable {
  public let name: String
  private let key: AgentKey

  /// - Parameter name: of the service that calls.
  public init(name: String, key: AgentKey) { (self.name, self.key) = (name, key) }

  /// A fresh token for one call or a few.
  /// - Parameter subject: for whom; nil for the service itself.
  public func token(for audience: String, tenant: String, subject: String? = nil, now: Date = Date()) throws -> String {
    let seconds = Int(now.timeIntervalSince1970)
    let claims = ServiceToken(
      iss: name, aud: audience, sub: subject, tenant: tenant, iat: seconds, exp: seconds + ServiceToken.life)
    return try CompactJWS.sign(claims, header: .init(typ: ServiceToken.type), with: key)
  }
}

/// Checks service tokens.
public struct ServiceTokenVerifier: Sendable {
  public let audience: String
  private let keys: [String: [UInt8]]

  /// - Parameters:
  ///   - audience: the name of the service that is called.
  ///   - keys: public keys (32 bytes) by the names of the services that may call.
  public init(audience: String, keys: [String: [UInt8]]) { (self.audience, self.keys) = (audience, keys) }

  /// - Throws: `Problem` 401 `token_refused`; the reason is not told.
  public func verify(_ token: String, now: Date = Date()) throws -> ServiceToken {
    let seconds = Int(now.timeIntervalSince1970)
    guard let parsed = try? CompactJWS(parsing: token), parsed.header.typ == ServiceToken.type,
      let claimed = try? parsed.claims(as: ServiceToken.self), let key = keys[claimed.iss], parsed.isSigned(by: key),
      claimed.aud == audience, claimed.exp > seconds, claimed.iat <= seconds + 30,
      claimed.exp - claimed.iat <= 2 * ServiceToken.life
    else { throw Problem.tokenRefused }
    return claimed
  }
}

extension Problem {
  /// 401: no token, or one that is not good here.
  public static let tokenRefused = Problem(
    code: "token_refused", status: 401, detail: "The request carries no token that is good here.",
    remedy: "Send a valid token as 'Authorization: Bearer TOKEN'.")
}
