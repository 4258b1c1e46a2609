/// Sign-in by an OpenID Connect provider: authorization code with PKCE.
extension IdentityAPI {
  /// `PUT /v1/sign-on-providers/{id}`
  public struct SignOnProviderWish: Codable, Hashable, Sendable {
    public var name: String
    /// `https://...`, as the provider's discovery document names itself.
    public var issuer: String
    public var clientID: String
    /// Write-only; nil keeps the one that is there.
    public var clientSecret: String?
    /// Whose users its users become, and with which role at their first sign-in.
    public var tenant: String
    public var role: Role
    /// Where browsers may be sent back to. One of `http://127.0.0.1/...` is good with every port (RFC 8252).
    public var redirectURIs: [String]
    public init(
      name: String, issuer: String, clientID: String, clientSecret: String? = nil, tenant: String, role: Role,
      redirectURIs: [String]
    ) {
      (self.name, self.issuer, self.clientID, self.clientSecret) = (name, issuer, clientID, clientSecret)
      (self.tenant, self.role, self.redirectURIs) = (tenant, role, redirectURIs)
    }
  }

  public struct SignOnProvider: Codable, Hashable, Sendable {
    /// `[a-z0-9-]{1,63}`
    public var id: String
    public var name: String
    public var issuer: String
    public var clientID: String
    public var tenant: String
    public var role: Role
    public var redirectURIs: [String]
    public init(
      id: String, name: String, issuer: String, clientID: String, tenant: String, role: Role, redirectURIs: [String]
    ) {
      (self.id, self.name, self.issuer, self.clientID) = (id, name, issuer, clientID)
      (self.tenant, self.role, self.redirectURIs) = (tenant, role, redirectURIs)
    }
  }

  /// `GET /v1/sign-on`: what a page of sign-in offers.
  public struct SignOnChoice: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    public init(id: String, name: String) { (self.id, self.name) = (id, name) }
  }

  /// `POST /v1/sign-on/{id}`
  public struct SignOnWish: Codable, Hashable, Sendable {
    public var redirectURI: String
    public init(redirectURI: String) { self.redirectURI = redirectURI }
  }

  public struct SignOnBeginning: Codable, Hashable, Sendable {
    /// Where to send the browser.
    public var url: String
    /// Comes back as the query's `state`; whoever began keeps it for this browser, and goes on only where both are the same.
    public var state: String
    /// Seconds.
    public var expiresIn: Int
    public init(url: String, state: String, expiresIn: Int) {
      (self.url, self.state, self.expiresIn) = (url, state, expiresIn)
    }
  }

  /// `POST /v1/sign-on/{id}/session`: answers with a `Session`.
  public struct SignOnReturn: Codable, Hashable, Sendable {
    public var state: String
    public var code: String
    public init(state: String, code: String) { (self.state, self.code) = (state, code) }
  }
}
