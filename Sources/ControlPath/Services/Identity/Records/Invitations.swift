import Foundation
import GRDB
import ServiceKit
import Wire

/// How people come into a tenant.
struct Invitations: Sendable {
  static let prefix = "gwi_"
  /// Seconds.
  static let life = 7 * 86_400
  static let longestLife = 30 * 86_400

  let database: IdentityDatabase
  let signIn: SignIn

  func make(_ tenant: String, _ wish: IdentityAPI.InvitationWish) async throws -> IdentityAPI.Invitation {
    guard wish.role.isTenantRole else { throw Problem.malformed("'role' is viewer, migrator, admin or owner.") }
    let life = wish.expiresIn ?? Self.life
    guard (60...Self.longestLife).contains(life) else { throw Problem.malformed("'expiresIn' is 60 s to 30 days.") }
    let (token, time) = (Self.prefix + Secret.text(bytes: 32), signIn.now())
    let row = InvitationRecord(
      id: Identifier.make("inv"), tenant: tenant, hash: SecretHash.of(token),
      email: try SignIn.checked(email: wish.email), role: wish.role, createdAt: time, expiresAt: time + life)
    try await database.pool.audited(subject: { AuditSubject(tenant: tenant, object: "invitation \(row.id)") }) { db in
      guard try TenantRecord.fetchOne(db, key: tenant) != nil else { throw Problem.notFound("tenant \(tenant)") }
      try row.insert(db)
    }
    return row.view(token: token)
  }

  func list(_ tenant: String, limit: Int, after: String?) async throws -> [InvitationRecord] {
    try await database.pool.read { db in
      try InvitationRecord.filter(Column("tenant") == tenant && Column("id") > (after ?? "")).order(Column("id"))
        .limit(limit).fetchAll(db)
    }
  }

  func withdraw(_ tenant: String, _ id: String) async throws {
    try await database.pool.audited { db in
      guard try InvitationRecord.remove(tenant, id, db) else { throw Problem.notFound("invitation \(id)") }
    }
  }

  /// Makes the user, or has the one that is there show its password; then the membership.
  func accept(_ wish: IdentityAPI.Acceptance, from address: String) async throws -> IdentityAPI.Member {
    let invitation = try await open(wish.token)
    let object = "invitation \(invitation.id)"
    AuditSubject(tenant: invitation.tenant, object: object, actor: "invited:" + invitation.email).apply()
    let known = try await database.pool.read {
      try UserRecord.filter(Column("email") == invitation.email).fetchCount($0) > 0
    }
    let user =
      known
      ? try await signIn.user(invitation.email, wish.password, from: address) { user in
        try await signIn.secondFactor.check(user.id, wish.code)
      } : try await newUser(wish, invitation)
    let time = signIn.now()
    return try await database.pool.audited(
      subject: { AuditSubject(tenant: invitation.tenant, object: object, actor: $0.id) }
    ) { db in
      guard var row = try InvitationRecord.find(invitation.tenant, invitation.id, db), row.acceptedBy == nil else {
        throw Self.refused
      }
      if !known {
        guard try UserRecord.filter(Column("email") == user.email).fetchCount(db) == 0 else {
          throw Problem.conflict("The user \(user.email) was made a moment ago.", remedy: "Give its password.")
        }
        try user.insert(db)
      }
      row.acceptedBy = user.id
      try row.update(db)
      var membership = MembershipRecord(tenant: row.tenant, user: user.id, role: row.role, since: time)
      if let held = try MembershipRecord.find(row.tenant, user: user.id, db) {
        membership = held
      } else {
        try membership.insert(db)
      }
      return IdentityAPI.Member(
        id: user.id, email: user.email, name: user.name, role: membership.role, since: membership.since)
    }
  }

  private func open(_ token: String) async throws -> InvitationRecord {
    let (hash, time) = (SecretHash.of(token), signIn.now())
    let row = try await database.pool.read { db in
      try InvitationRecord.filter(Column("hash") == hash && Column("expiresAt") > time && Column("acceptedBy") == nil)
        .fetchOne(db)
    }
    guard let row else { throw Self.refused }
    return row
  }

  private func newUser(_ wish: IdentityAPI.Acceptance, _ invitation: InvitationRecord) async throws -> UserRecord {
    try SignIn.check(password: wish.password, email: invitation.email)
    return UserRecord(
      id: Identifier.make("usr"), email: invitation.email,
      name: try SignIn.checked(name: wish.name ?? invitation.email),
      password: try await PasswordHash.make(wish.password, cost: signIn.cost), platformRole: nil, disabled: false,
      createdAt: signIn.now())
  }

  private static let refused = Problem(
    code: "invitation_refused", status: 403, detail: "The invitation is not there, was used, or is too old.",
    remedy: "Ask an owner of the tenant for a new one.")
}
