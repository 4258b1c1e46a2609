/// The claims of an access token (a JWT signed with Ed25519): who asks, for which tenant, and what for. Signed by the
/// identity service, verified offline by every other one with the keys of `/.well-known/jwks.json`.
public struct AccessToken: Codable, Hashable, Sendable {
  /// `typ` of its header.
  public static let type = "at+jwt"
  /// Seconds it is good for.
  public static let life = 300
  public static let issuer = "identity"
  public static let audience = "godwit"

  public var iss: String
  public var aud: String
  /// The user's id; of an API token that belongs to nobody, the token's.
  public var sub: String
  /// Nil: for the platform itself, not for a tenant.
  public var tenant: String?
  public var role: Role
  public var scopes: [Right]
  /// The session or API token that it was made from.
  public var sid: String
  /// Seconds since 1970.
  public var iat: Int
  public var exp: Int
  /// What the tenant may use; nil: the usual.
  public var limits: TenantLimits?

  public init(
    sub: String, tenant: String?, role: Role, scopes: Set<Right>, sid: String, now: Int, limits: TenantLimits? = nil
  ) {
    self.limits = limits
    (iss, aud, self.sub, self.tenant) = (Self.issuer, Self.audience, sub, tenant)
    (self.role, self.sid, iat, exp) = (role, sid, now, now + Self.life)
    self.scopes = Right.allCases.filter(scopes.contains)
  }

  /// Whether one of these ends it.
  public func isRevoked(by revoked: [String: Int]) -> Bool {
    [sid, sub, sub + "@" + (tenant ?? "")].contains { name in revoked[name].map { iat <= $0 } ?? false }
  }

  public func may(_ right: Right) -> Bool { scopes.contains(right) && role.rights.contains(right) }
}

/// `GET /.well-known/jwks.json` (RFC 7517): the keys that access tokens may be signed with.
public struct KeySet: Codable, Hashable, Sendable {
  public struct Key: Codable, Hashable, Sendable {
    public var kid: String
    public var kty: String
    public var crv: String
    public var x: String
    public var use: String
    public var alg: String
    /// - Parameter publicKey: 32 bytes of Ed25519.
    public init(publicKey: [UInt8]) {
      let jwk = PublicJWK(rawRepresentation: publicKey)
      (kid, kty, crv, x, use, alg) = (jwk.thumbprint, jwk.kty, jwk.crv, jwk.x, "sig", "EdDSA")
    }
  }
  public var keys: [Key]
  /// What was revoked lately, and when (seconds since 1970): a session or API token (`sid`), a user (`sub`), or a user in
  /// one tenant (`SUB@TENANT`). Access tokens of it that are not younger are not good any more.
  public var revoked: [String: Int]?
  public init(keys: [Key], revoked: [String: Int]? = nil) { (self.keys, self.revoked) = (keys, revoked) }

  /// The 32 bytes of each usable key by its name; others are left out.
  public var publicKeys: [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for key in keys where key.kty == "OKP" && key.crv == "Ed25519" && key.use == "sig" {
      if let bytes = Base64URL.decode(key.x), bytes.count == 32 { found[key.kid] = bytes }
    }
    return found
  }
}
