import Foundation
import GRDB
import ServiceKit
import Wire

/// Users show passwords and get sessions.
struct SignIn: Sendable {
  let database: IdentityDatabase
  let limit: SignInLimit
  let secondFactor: SecondFactor
  let cost: PasswordHash.Cost
  let now: @Sendable () -> Int

  /// A new session.
  /// - Parameter address: the IP address that asks.
  /// - Throws: `Problem` 401 `sign_in_refused`, which does not tell whether there is such a user; 429.
  func begin(_ wish: IdentityAPI.SignIn, from address: String) async throws -> IdentityAPI.Session {
    let user = try await user(wish.email, wish.password, from: address) { [secondFactor] user in
      try await secondFactor.check(user.id, wish.code)
    }
    return try await open(user)
  }

  /// A new session of a user who has shown that it is he.
  func open(_ user: UserRecord) async throws -> IdentityAPI.Session {
    let (secret, time) = (Credentials.sessionPrefix + Secret.text(bytes: 32), now())
    let row = SessionRecord(
      id: Identifier.make("ses"), hash: SecretHash.of(secret), user: user.id, createdAt: time,
      expiresAt: time + Credentials.sessionLife)
    try await database.pool.audited { db in
      try SessionRecord.filter(Column("expiresAt") <= time).deleteAll(db)
      try row.insert(db)
    }
    return try await view(row, user, token: secret)
  }

  /// The user whose password this is.
  /// - Parameter check: what else the user has to show; failing it is a failed try.
  func user(
    _ email: String, _ password: String, from address: String,
    check: @Sendable (UserRecord) async throws -> Void = { _ in }
  ) async throws -> UserRecord {
    let email = email.lowercased()
    guard email.utf8.count <= Self.longestEmail else { throw Self.refused }
    try await limit.begin(email: email, address: address)
    let user = try await database.pool.read { try UserRecord.filter(Column("email") == email).fetchOne($0) }
    if let user { try await audit(user) } else { AuditSubject(tenant: "*", object: "user \(email)").apply() }
    guard try await PasswordHash.matches(password, user?.password, cost: cost), let user, !user.disabled else {
      throw Self.refused
    }
    try await check(user)
    try await limit.succeed(email: email, address: address)
    return user
  }

  /// UTF-8 bytes; RFC 5321 allows no more.
  static let longestEmail = 254

  static let refused = Problem(
    code: "sign_in_refused", status: 401, detail: "There is no user with this address and password.",
    remedy: "Check both; an owner of your tenant can invite you.")

  /// The request that is handled is this user's, and concerns the platform and each of his tenants.
  func audit(_ user: UserRecord) async throws {
    let tenants = try await database.pool.read { db in
      try MembershipRecord.filter(Column("user") == user.id).order(Column("tenant")).fetchAll(db).map(\.tenant)
    }
    AuditSubject(tenant: "*", object: "user \(user.id)", actor: user.id, others: tenants).apply()
  }

  /// Something a signed-in user has to show: counted as a try of the account.
  func trying(_ user: UserRecord, from address: String, _ body: () async throws -> Void) async throws {
    try await limit.begin(email: user.email, address: address)
    try await body()
    try await limit.succeed(email: user.email, address: address)
  }

  func view(_ session: SessionRecord, _ user: UserRecord, token: String? = nil) async throws -> IdentityAPI.Session {
    let memberships = try await database.pool.read { db in
      try Row.fetchAll(
        db,
        sql: """
          SELECT tenant.id, tenant.name, membership.role FROM membership JOIN tenant ON tenant.id = membership.tenant
          WHERE membership.user = ? ORDER BY tenant.id
          """, arguments: [user.id]
      ).compactMap { row in
        Role(rawValue: row["role"]).map {
          IdentityAPI.Session.Membership(tenant: row["id"], name: row["name"], role: $0)
        }
      }
    }
    return .init(
      id: session.id, token: token, user: user.view, memberships: memberships, createdAt: session.createdAt,
      expiresAt: session.expiresAt)
  }

  func end(_ session: SessionRecord) async throws {
    try await database.pool.audited { [now] db in
      try session.delete(db)
      try Revocation.add(session.id, at: now(), db)
    }
  }

  /// Ends the user's other sessions.
  func change(_ change: IdentityAPI.PasswordChange, _ session: SessionRecord, _ user: UserRecord, from address: String)
    async throws
  {
    _ = try await self.user(user.email, change.old, from: address)
    try Self.check(password: change.new, email: user.email)
    let hash = try await PasswordHash.make(change.new, cost: cost)
    try await database.pool.audited { [now] db in
      try db.execute(sql: "UPDATE user SET password = ? WHERE id = ?", arguments: [hash, user.id])
      let others = SessionRecord.filter(Column("user") == user.id && Column("id") != session.id)
      for other in try others.fetchAll(db) { try Revocation.add(other.id, at: now(), db) }
      try others.deleteAll(db)
    }
  }

  /// - Throws: `Problem` 422 `password_weak`.
  static func check(password: String, email: String) throws {
    guard PasswordHash.isPossible(password), (12...1024).contains(password.utf8.count), Set(password).count >= 5,
      password.lowercased() != email
    else {
      throw Problem(
        code: "password_weak", status: 422, detail: "A password has at least 12 characters, and is not the address.",
        remedy: "Choose a longer one; several words are fine.")
    }
  }

  /// In lower case.
  static func checked(email: String) throws -> String {
    let email = email.lowercased()
    let parts = email.split(separator: "@", omittingEmptySubsequences: false)
    let isPlain = email.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && $0 != "<" && $0 != ">" }
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, email.utf8.count <= 254, isPlain else {
      throw Problem.malformed("'email' is no e-mail address.")
    }
    return email
  }

  static func checked(name: String) throws -> String {
    let isPlain = name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    guard (1...200).contains(name.utf8.count), isPlain else {
      throw Problem.malformed("'name' has 1 to 200 bytes, without control characters.")
    }
    return name
  }
}
