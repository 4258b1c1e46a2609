import Foundation
import GRDB
import ServiceKit
import Wire

/// The OpenID Connect providers by which users may sign in. Only the platform's administrator names them: their addresses are
/// called from here.
struct SignOnProviders: Sendable {
  static let most = 100
  let database: IdentityDatabase
  let box: SecretBox
  let now: @Sendable () -> Int

  func put(_ id: String, _ wish: IdentityAPI.SignOnProviderWish) async throws -> IdentityAPI.SignOnProvider {
    guard Identifier.isValid(id) else { throw Problem.malformed("'id' must be a-z, 0-9 and -, at most 63.") }
    try Self.check(wish)
    let name = try SignIn.checked(name: wish.name)
    let sealed = try wish.clientSecret.map { try box.seal($0, of: Self.owner(id)) }
    return try await database.pool.audited(
      subject: { AuditSubject(tenant: $0.tenant, object: "sign-on provider \(id)") }
    ) { db in
      let known = try SignOnProviderRecord.fetchOne(db, key: id)
      guard let secret = sealed ?? known?.clientSecret else {
        throw Problem.malformed("'clientSecret' is needed for a new provider.")
      }
      // A secret goes to no other place than the one it was given for.
      guard sealed != nil || known?.issuer == wish.issuer else {
        throw Problem.malformed("'clientSecret' is needed again where 'issuer' changes.")
      }
      guard try known != nil || SignOnProviderRecord.fetchCount(db) < Self.most else {
        throw Problem.conflict("There are \(Self.most) providers.", remedy: "Remove one that is not used.")
      }
      guard try TenantRecord.fetchOne(db, key: wish.tenant) != nil else {
        throw Problem.malformed("There is no tenant '\(wish.tenant)'.")
      }
      let row = SignOnProviderRecord(
        id: id, name: name, issuer: wish.issuer, clientID: wish.clientID, clientSecret: secret, tenant: wish.tenant,
        role: wish.role, redirectURIs: wish.redirectURIs)
      try row.save(db)
      return row.view
    }
  }

  func find(_ id: String) async throws -> SignOnProviderRecord {
    guard let row = try await database.pool.read({ try SignOnProviderRecord.fetchOne($0, key: id) }) else {
      throw Problem.notFound("sign-on provider \(id)")
    }
    return row
  }

  func secret(of row: SignOnProviderRecord) throws -> String { try box.open(row.clientSecret, of: Self.owner(row.id)) }

  func list() async throws -> [SignOnProviderRecord] {
    try await database.pool.read { try SignOnProviderRecord.order(Column("id")).fetchAll($0) }
  }

  /// Ends the sessions and API tokens of those who signed in by its issuer, where no other provider has the same.
  func remove(_ id: String) async throws {
    try await database.pool.audited { [now] db in
      guard let row = try SignOnProviderRecord.fetchOne(db, key: id) else {
        throw Problem.notFound("sign-on provider \(id)")
      }
      try row.delete(db)
      guard try SignOnProviderRecord.filter(Column("issuer") == row.issuer).fetchCount(db) == 0 else { return }
      for table in ["session", "apiToken"] {
        let theirs = "user IN (SELECT user FROM signOnIdentity WHERE issuer = ?)"
        let ids = try String.fetchAll(db, sql: "SELECT id FROM \(table) WHERE \(theirs)", arguments: [row.issuer])
        try db.execute(sql: "DELETE FROM \(table) WHERE \(theirs)", arguments: [row.issuer])
        for id in ids { try Revocation.add(id, at: now(), db) }
      }
    }
  }

  private static func check(_ wish: IdentityAPI.SignOnProviderWish) throws {
    guard ProviderAddress.isGood(wish.issuer), wish.issuer.utf8.count <= 500, !wish.issuer.contains("?") else {
      throw Problem.malformed("'issuer' is https://HOST[:PORT][/PATH]; http only for 127.0.0.1 and localhost.")
    }
    guard (1...500).contains(wish.clientID.utf8.count), (wish.clientSecret?.utf8.count ?? 1) <= 2000,
      wish.clientSecret != ""
    else { throw Problem.malformed("'clientID' has 1 to 500 bytes, 'clientSecret' 1 to 2000.") }
    guard wish.role.isTenantRole, wish.role != .owner else {
      throw Problem.malformed("'role' is viewer, migrator or admin.")
    }
    guard (1...20).contains(wish.redirectURIs.count),
      wish.redirectURIs.allSatisfy({ ProviderAddress.isGood($0) && $0.utf8.count <= 500 && !$0.contains("#") })
    else { throw Problem.malformed("'redirectURIs' are 1 to 20 of https://...; http only for 127.0.0.1, localhost.") }
  }

  private static func owner(_ id: String) -> String { "godwit-sign-on-1\0\(id)" }
}
