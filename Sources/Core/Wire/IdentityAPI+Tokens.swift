extension IdentityAPI {
  /// `POST /v1/sessions`
  public struct SignIn: Codable, Hashable, Sendable {
    public var email: String
    public var password: String
    /// Of the authenticator, or for recovery; needed where the answer without it is 401 `second_factor_needed`.
    public var code: String?
    public init(email: String, password: String, code: String? = nil) {
      (self.email, self.password, self.code) = (email, password, code)
    }
  }

  /// `GET /v1/session`
  public struct Session: Codable, Hashable, Sendable {
    public struct Membership: Codable, Hashable, Sendable {
      public var tenant: String
      public var name: String
      public var role: Role
      public init(tenant: String, name: String, role: Role) {
        (self.tenant, self.name, self.role) = (tenant, name, role)
      }
    }
    public var id: String
    public var token: String?
    public var user: User
    public var memberships: [Membership]
    public var createdAt: Int
    public var expiresAt: Int
    public init(
      id: String, token: String? = nil, user: User, memberships: [Membership], createdAt: Int, expiresAt: Int
    ) {
      (self.id, self.token, self.user, self.memberships) = (id, token, user, memberships)
      (self.createdAt, self.expiresAt) = (createdAt, expiresAt)
    }
  }

  /// `PUT /v1/session/password`: ends every other session of the user.
  public struct PasswordChange: Codable, Hashable, Sendable {
    public var old: String
    public var new: String
    public init(old: String, new: String) { (self.old, self.new) = (old, new) }
  }

  /// `POST /v1/session/second-factor`: in force once `PUT` there has shown a code.
  public struct SecondFactor: Codable, Hashable, Sendable {
    /// Base32, for the authenticator (RFC 6238: SHA-1, 30 s, 6 digits); and the same as a URL.
    public var secret: String
    public var url: String
    /// Each serves once instead of a code.
    public var recoveryCodes: [String]
    public init(secret: String, url: String, recoveryCodes: [String]) {
      (self.secret, self.url, self.recoveryCodes) = (secret, url, recoveryCodes)
    }
  }

  public struct Code: Codable, Hashable, Sendable {
    public var code: String
    public init(code: String) { self.code = code }
  }

  /// `POST /v1/token`: with a session, an API token or the admin token as bearer.
  public struct TokenWish: Codable, Hashable, Sendable {
    /// Nil: an API token's own; of others, the platform itself.
    public var tenant: String?
    public init(tenant: String? = nil) { self.tenant = tenant }
  }

  public struct AccessGrant: Codable, Hashable, Sendable {
    public var accessToken: String
    /// Seconds.
    public var expiresIn: Int
    public var tenant: String?
    public var role: Role
    public var scopes: [Right]
    public init(accessToken: String, expiresIn: Int, tenant: String?, role: Role, scopes: [Right]) {
      (self.accessToken, self.expiresIn, self.tenant) = (accessToken, expiresIn, tenant)
      (self.role, self.scopes) = (role, scopes)
    }
  }

  /// `POST /v1/tenants/{tenant}/api-tokens`
  public struct APITokenWish: Codable, Hashable, Sendable {
    public var name: String
    /// Among what the one who makes it may do.
    public var scopes: [Right]
    /// Seconds, 60 to a year.
    public var expiresIn: Int
    public init(name: String, scopes: [Right], expiresIn: Int) {
      (self.name, self.scopes, self.expiresIn) = (name, scopes, expiresIn)
    }
  }

  /// Never does more than its user may at the time; without a user, it is the platform administrator's.
  public struct APIToken: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    public var scopes: [Right]
    public var user: String?
    public var createdAt: Int
    public var expiresAt: Int
    public var lastUsedAt: Int?
    public var token: String?
    public init(
      id: String, name: String, scopes: [Right], user: String?, createdAt: Int, expiresAt: Int, lastUsedAt: Int?,
      token: String? = nil
    ) {
      (self.id, self.name, self.scopes, self.user) = (id, name, scopes, user)
      (self.createdAt, self.expiresAt, self.lastUsedAt, self.token) = (createdAt, expiresAt, lastUsedAt, token)
    }
  }

  /// `GET /v1/signing-keys`
  public struct SigningKey: Codable, Hashable, Sendable {
    public var kid: String
    public var createdAt: Int
    /// It signs from then on, until the next one does; it is published before and after.
    public var signsFrom: Int
    public init(kid: String, createdAt: Int, signsFrom: Int) {
      (self.kid, self.createdAt, self.signsFrom) = (kid, createdAt, signsFrom)
    }
  }
}
