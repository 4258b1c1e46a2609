import Foundation
import GRDB
import ServiceKit
import Wire

/// Tenants, users, and which users belong to which tenant.
struct People: Sendable {
  let database: IdentityDatabase
  let cost: PasswordHash.Cost
  let now: @Sendable () -> Int

  // MARK: Of the platform

  /// Repeating it with the same id and name is harmless.
  func make(_ wish: IdentityAPI.TenantWish) async throws -> TenantRecord {
    let id = wish.id ?? Identifier.make("ten")
    guard Identifier.isValid(id) else { throw Problem.malformed("'id' must be a-z, 0-9 and -, at most 63.") }
    let row = TenantRecord(id: id, name: try SignIn.checked(name: wish.name), createdAt: now())
    return try await database.pool.audited(subject: { AuditSubject(tenant: $0.id, object: "tenant \($0.id)") }) { db in
      if let known = try TenantRecord.fetchOne(db, key: id) {
        guard known.name == row.name else {
          throw Problem.conflict("There is a tenant \(id) of another name.", remedy: "Choose another id.")
        }
        return known
      }
      try row.insert(db)
      return row
    }
  }

  func rename(_ tenant: String, _ name: String, _ precondition: Precondition) async throws -> TenantRecord {
    let name = try SignIn.checked(name: name)
    return try await database.pool.audited { db in
      guard var row = try TenantRecord.fetchOne(db, key: tenant) else { throw Problem.notFound("tenant \(tenant)") }
      try precondition.check(row.view)
      row.name = name
      try row.update(db)
      return row
    }
  }

  /// What the tenant may use from now on; access tokens that were made before carry the old ones for 5 minutes at most.
  func limit(_ tenant: String, _ limits: TenantLimits, _ precondition: Precondition) async throws -> TenantLimits {
    guard [limits.requests, limits.sources, limits.migrations, limits.launches].allSatisfy(TenantLimits.range.contains)
    else { throw Problem.malformed("Each limit is 1 to \(TenantLimits.range.upperBound).") }
    return try await database.pool.audited { db in
      guard var row = try TenantRecord.fetchOne(db, key: tenant) else { throw Problem.notFound("tenant \(tenant)") }
      try precondition.check(row.limits ?? TenantLimits())
      row.limits = limits
      try row.update(db)
      return limits
    }
  }

  func tenant(_ id: String) async throws -> TenantRecord {
    guard let row = try await database.pool.read({ try TenantRecord.fetchOne($0, key: id) }) else {
      throw Problem.notFound("tenant \(id)")
    }
    return row
  }

  /// One of the operator's users.
  func make(_ wish: IdentityAPI.UserWish) async throws -> UserRecord {
    let email = try SignIn.checked(email: wish.email)
    guard !wish.platformRole.isTenantRole else {
      throw Problem.malformed("'platformRole' is support, finance, sre or platform_admin.")
    }
    try SignIn.check(password: wish.password, email: email)
    let row = UserRecord(
      id: Identifier.make("usr"), email: email, name: try SignIn.checked(name: wish.name),
      password: try await PasswordHash.make(wish.password, cost: cost), platformRole: wish.platformRole,
      disabled: false, createdAt: now())
    return try await database.pool.audited(subject: { AuditSubject(tenant: "*", object: "user \($0.id)") }) { db in
      guard try UserRecord.filter(Column("email") == email).fetchCount(db) == 0 else {
        throw Problem.conflict("There is a user \(email) already.", remedy: "Use another address.")
      }
      try row.insert(db)
      return row
    }
  }

  /// A disabled user has no session any more.
  func change(user id: String, _ change: IdentityAPI.UserChange) async throws -> UserRecord {
    try await database.pool.audited { [now] db in
      guard var row = try UserRecord.fetchOne(db, key: id) else { throw Problem.notFound("user \(id)") }
      row.disabled = change.disabled ?? row.disabled
      try row.update(db)
      if row.disabled {
        try SessionRecord.filter(Column("user") == id).deleteAll(db)
        try Revocation.add(id, at: now(), db)
      }
      return row
    }
  }

  // MARK: Of a tenant

  func member(_ tenant: String, _ user: String) async throws -> IdentityAPI.Member {
    try await database.pool.read { try Self.member(tenant, user, $0) }
  }

  private static func member(_ tenant: String, _ user: String, _ db: GRDB.Database) throws -> IdentityAPI.Member {
    let found = try members(tenant, "AND user.id = ?", [user], limit: 1, db).first
    guard let found else { throw Problem.notFound("user \(user)") }
    return found
  }

  func members(_ tenant: String, limit: Int, after: String?) async throws -> [IdentityAPI.Member] {
    try await database.pool.read { try Self.members(tenant, "AND user.id > ?", [after ?? ""], limit: limit, $0) }
  }

  private static func members(
    _ tenant: String, _ condition: String, _ arguments: StatementArguments, limit: Int, _ db: GRDB.Database
  ) throws -> [IdentityAPI.Member] {
    try Row.fetchAll(
      db,
      sql: """
        SELECT user.id, user.email, user.name, membership.role, membership.since
        FROM membership JOIN user ON user.id = membership.user
        WHERE membership.tenant = ? \(condition) ORDER BY user.id LIMIT ?
        """, arguments: [tenant] + arguments + [limit]
    ).compactMap { row in
      Role(rawValue: row["role"]).map {
        IdentityAPI.Member(id: row["id"], email: row["email"], name: row["name"], role: $0, since: row["since"])
      }
    }
  }

  /// - Throws: `Problem` 409 `last_owner` where the tenant would have none left.
  func setRole(_ tenant: String, _ user: String, _ role: Role, _ precondition: Precondition) async throws
    -> IdentityAPI.Member
  {
    guard role.isTenantRole else { throw Problem.malformed("'role' is viewer, migrator, admin or owner.") }
    return try await database.pool.audited { [now] db in
      guard var row = try MembershipRecord.find(tenant, user: user, db) else { throw Problem.notFound("user \(user)") }
      try precondition.check(try Self.member(tenant, user, db))
      if row.role == .owner, role != .owner { try Self.keepOwner(tenant, db) }
      // What was made in this second may be of the new role already.
      if row.role != role { try Revocation.add("\(user)@\(tenant)", at: now() - 1, db) }
      row.role = role
      try row.update(db)
      return try Self.member(tenant, user, db)
    }
  }

  /// Ends the membership, and what the user made for programs in this tenant.
  func remove(_ tenant: String, _ user: String) async throws {
    try await database.pool.audited { [now] db in
      guard let row = try MembershipRecord.find(tenant, user: user, db) else { throw Problem.notFound("user \(user)") }
      if row.role == .owner { try Self.keepOwner(tenant, db) }
      try APITokenRecord.filter(Column("tenant") == tenant && Column("user") == user).deleteAll(db)
      try row.delete(db)
      try Revocation.add("\(user)@\(tenant)", at: now(), db)
    }
  }

  private static func keepOwner(_ tenant: String, _ db: GRDB.Database) throws {
    guard try MembershipRecord.owners(tenant, db) > 1 else {
      throw Problem(
        code: "last_owner", status: 409, detail: "This is the tenant's last owner.",
        remedy: "Make another user an owner first.")
    }
  }
}
