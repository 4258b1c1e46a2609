/// What the identity service and its users say to each other, in JSON. Instants are seconds since 1970. Lists are pages as
/// those of `MigrationAPI`, ordered by id.
///
/// Secrets (`token` of sessions, API tokens and invitations) are shown once, in the answer that makes them; only their
/// hashes are kept.
public enum IdentityAPI {
  /// `POST /v1/tenants`
  public struct TenantWish: Codable, Hashable, Sendable {
    /// `[a-z0-9-]{1,63}`; nil: chosen.
    public var id: String?
    public var name: String
    public init(id: String? = nil, name: String) { (self.id, self.name) = (id, name) }
  }

  public struct Tenant: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    public var createdAt: Int
    public init(id: String, name: String, createdAt: Int) {
      (self.id, self.name, self.createdAt) = (id, name, createdAt)
    }
  }

  /// `PATCH /v1/tenants/{tenant}`
  public struct TenantChange: Codable, Hashable, Sendable {
    public var name: String
    public init(name: String) { self.name = name }
  }

  /// `POST /v1/users`: one of the operator's users.
  public struct UserWish: Codable, Hashable, Sendable {
    public var email: String
    public var name: String
    public var password: String
    public var platformRole: Role
    public init(email: String, name: String, password: String, platformRole: Role) {
      (self.email, self.name, self.password, self.platformRole) = (email, name, password, platformRole)
    }
  }

  /// `PATCH /v1/users/{id}`: what is nil stays.
  public struct UserChange: Codable, Hashable, Sendable {
    public var disabled: Bool?
    public init(disabled: Bool? = nil) { self.disabled = disabled }
  }

  public struct User: Codable, Hashable, Sendable {
    public var id: String
    public var email: String
    public var name: String
    public var platformRole: Role?
    public var disabled: Bool
    public var createdAt: Int
    public init(id: String, email: String, name: String, platformRole: Role?, disabled: Bool, createdAt: Int) {
      (self.id, self.email, self.name) = (id, email, name)
      (self.platformRole, self.disabled, self.createdAt) = (platformRole, disabled, createdAt)
    }
  }

  /// A user of one tenant.
  public struct Member: Codable, Hashable, Sendable {
    /// The user's.
    public var id: String
    public var email: String
    public var name: String
    public var role: Role
    public var since: Int
    public init(id: String, email: String, name: String, role: Role, since: Int) {
      (self.id, self.email, self.name, self.role, self.since) = (id, email, name, role, since)
    }
  }

  /// `PUT /v1/tenants/{tenant}/users/{id}`
  public struct RoleWish: Codable, Hashable, Sendable {
    public var role: Role
    public init(role: Role) { self.role = role }
  }

  /// `POST /v1/tenants/{tenant}/invitations`
  public struct InvitationWish: Codable, Hashable, Sendable {
    public var email: String
    public var role: Role
    /// Seconds; 7 days when nil, at most 30.
    public var expiresIn: Int?
    public init(email: String, role: Role, expiresIn: Int? = nil) {
      (self.email, self.role, self.expiresIn) = (email, role, expiresIn)
    }
  }

  public struct Invitation: Codable, Hashable, Sendable {
    public var id: String
    public var email: String
    public var role: Role
    public var createdAt: Int
    public var expiresAt: Int
    public var acceptedBy: String?
    public var token: String?
    public init(
      id: String, email: String, role: Role, createdAt: Int, expiresAt: Int, acceptedBy: String?, token: String? = nil
    ) {
      (self.id, self.email, self.role, self.createdAt) = (id, email, role, createdAt)
      (self.expiresAt, self.acceptedBy, self.token) = (expiresAt, acceptedBy, token)
    }
  }

  /// `POST /v1/invitations/accept`: makes the user, or adds the membership to the one of that address.
  public struct Acceptance: Codable, Hashable, Sendable {
    public var token: String
    /// Of a new user.
    public var name: String?
    /// The new user's, or the one that the user has.
    public var password: String
    /// Of a user who has a second factor.
    public var code: String?
    public init(token: String, name: String? = nil, password: String, code: String? = nil) {
      (self.token, self.name, self.password, self.code) = (token, name, password, code)
    }
  }
}
