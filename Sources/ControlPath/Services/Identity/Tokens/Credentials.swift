import Foundation
import GRDB
import ServiceKit
import Wire

/// What people and programs show to get an access token: sessions, API tokens, and the admin token.
struct Credentials: Sendable {
  static let sessionPrefix = "gws_"
  static let apiTokenPrefix = "gwt_"
  /// Seconds.
  static let sessionLife = 12 * 3600

  let database: IdentityDatabase
  let keys: SigningKeys
  let bootstrap: AdminToken?
  let now: @Sendable () -> Int

  /// An access token for what `secret` allows now: what a user was, or an API token could do, when it was made does not
  /// count.
  /// - Throws: `Problem` 401; 404 for a tenant that the user does not belong to.
  func grant(_ secret: String, tenant: String?) async throws -> IdentityAPI.AccessGrant {
    var claims: AccessToken
    // Before anything is read: what is revoked after that is revoked for this token.
    let time = now()
    if let bootstrap, bootstrap.matches(secret) {
      if let tenant { try await known(tenant) }
      claims = AccessToken(
        sub: "admin", tenant: tenant, role: .platformAdmin, scopes: Role.platformAdmin.rights, sid: "admin", now: time)
    } else if secret.hasPrefix(Self.apiTokenPrefix) {
      claims = try await self.claims(ofAPIToken: secret, tenant: tenant)
    } else {
      let (session, user) = try await session(secret)
      let role = try await role(of: user, tenant: tenant)
      claims = AccessToken(sub: user.id, tenant: tenant, role: role, scopes: role.rights, sid: session.id, now: time)
    }
    if let id = claims.tenant {
      claims.limits = try await database.pool.read { try TenantRecord.fetchOne($0, key: id)?.limits }
    }
    let (kid, key) = try await keys.current()
    let token = try CompactJWS.sign(claims, header: .init(typ: AccessToken.type, kid: kid), with: key)
    return .init(
      accessToken: token, expiresIn: AccessToken.life, tenant: claims.tenant, role: claims.role, scopes: claims.scopes)
  }

  /// The session of a secret, and its user.
  /// - Throws: `Problem` 401.
  func session(_ secret: String) async throws -> (SessionRecord, UserRecord) {
    let (hash, time) = (SecretHash.of(secret), now())
    let found = try await database.pool.read { db -> (SessionRecord, UserRecord)? in
      guard secret.hasPrefix(Self.sessionPrefix),
        let session = try SessionRecord.filter(Column("hash") == hash && Column("expiresAt") > time).fetchOne(db),
        let user = try UserRecord.fetchOne(db, key: session.user), !user.disabled
      else { return nil }
      return (session, user)
    }
    guard let found else { throw Problem.tokenRefused }
    return found
  }

  private func claims(ofAPIToken secret: String, tenant: String?) async throws -> AccessToken {
    let (hash, time) = (SecretHash.of(secret), now())
    let claims = try await database.pool.write { db -> AccessToken? in
      guard var row = try APITokenRecord.filter(Column("hash") == hash && Column("expiresAt") > time).fetchOne(db)
      else { return nil }
      if let tenant, tenant != row.tenant { throw Problem.notFound("tenant \(tenant)") }
      var role = Role.platformAdmin
      if let id = row.user {
        guard let user = try UserRecord.fetchOne(db, key: id), !user.disabled,
          let held = try user.platformRole == .platformAdmin
            ? Role.platformAdmin : MembershipRecord.find(row.tenant, user: id, db)?.role
        else { return nil }
        role = held
      }
      if row.lastUsedAt.map({ time - $0 >= 60 }) ?? true {
        row.lastUsedAt = time
        try row.update(db)
      }
      return AccessToken(
        sub: row.user ?? row.id, tenant: row.tenant, role: role, scopes: role.rights.intersection(row.scopes),
        sid: row.id, now: time)
    }
    guard let claims else { throw Problem.tokenRefused }
    return claims
  }

  private func role(of user: UserRecord, tenant: String?) async throws -> Role {
    guard let tenant else {
      guard let role = user.platformRole else {
        throw Problem(
          code: "tenant_needed", status: 403, detail: "You have no role for the platform itself.",
          remedy: "Name one of your tenants.")
      }
      return role
    }
    if user.platformRole == .platformAdmin {
      try await known(tenant)
      return .platformAdmin
    }
    let membership = try await database.pool.read { try MembershipRecord.find(tenant, user: user.id, $0) }
    guard let membership else { throw Problem.notFound("tenant \(tenant)") }
    return membership.role
  }

  private func known(_ tenant: String) async throws {
    guard try await database.pool.read({ try TenantRecord.fetchOne($0, key: tenant) }) != nil else {
      throw Problem.notFound("tenant \(tenant)")
    }
  }
}
