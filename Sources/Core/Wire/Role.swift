/// What somebody is: in a tenant, or for the operator of the platform.
public enum Role: String, Codable, Hashable, Sendable, CaseIterable {
  case viewer, migrator, admin, owner
  /// The operator's: they see which tenants there are, and nothing of a tenant's machines.
  case support, finance, sre
  /// The operator's administrator: everything, in every tenant.
  case platformAdmin = "platform_admin"

  /// Whether it is held in a tenant, by a membership.
  public var isTenantRole: Bool { [.viewer, .migrator, .admin, .owner].contains(self) }

  /// What it may do.
  public var rights: Set<Right> {
    switch self {
    case .viewer: [.read]
    case .migrator: [.read, .migrate]
    case .admin: [.read, .migrate, .configure]
    case .owner: [.read, .migrate, .configure, .own]
    case .support: [.operate]
    case .finance: [.operate, .license]
    case .sre: [.operate, .keys]
    case .platformAdmin: Set(Right.allCases)
    }
  }
}

/// What a route needs. API tokens name those they are for as their scopes.
public enum Right: String, Codable, Hashable, Sendable, CaseIterable {
  /// To see what the tenant has.
  case read
  /// To start, sync, test, switch and end migrations.
  case migrate
  /// To change targets and what lies there, and to enrol or remove sources.
  case configure
  /// To say who else may do what.
  case own
  /// To see tenants and users of the whole platform.
  case operate
  /// To rotate signing keys.
  case keys
  /// To issue and revoke licences.
  case license
  /// To make tenants and the operator's users.
  case platform
}
