import GRDB
import ServiceKit
import Wire

/// Tokens that people make for their programs.
struct APITokens: Sendable {
  static let longestLife = 366 * 86_400
  let database: IdentityDatabase
  let now: @Sendable () -> Int

  func make(_ tenant: String, _ wish: IdentityAPI.APITokenWish, by caller: ServiceContext.Caller?) async throws
    -> IdentityAPI.APIToken
  {
    let (user, may) = try Self.maker(caller)
    guard !wish.scopes.isEmpty, may.isSuperset(of: wish.scopes) else {
      throw Problem(
        code: "not_allowed", status: 403, detail: "You may not give away what you may not do yourself.",
        remedy: "Choose scopes among \(Right.allCases.filter(may.contains).map(\.rawValue).joined(separator: ", ")).")
    }
    guard (60...Self.longestLife).contains(wish.expiresIn) else {
      throw Problem.malformed("'expiresIn' is 60 s to 366 days.")
    }
    let (token, time) = (Credentials.apiTokenPrefix + Secret.text(bytes: 32), now())
    let row = APITokenRecord(
      id: Identifier.make("tok"), tenant: tenant, hash: SecretHash.of(token), name: try SignIn.checked(name: wish.name),
      scopes: Right.allCases.filter(wish.scopes.contains), user: user, createdAt: time, expiresAt: time + wish.expiresIn
    )
    try await database.pool.audited(subject: { AuditSubject(tenant: tenant, object: "API token \(row.id)") }) { db in
      guard try TenantRecord.fetchOne(db, key: tenant) != nil else { throw Problem.notFound("tenant \(tenant)") }
      try APITokenRecord.filter(Column("tenant") == tenant && Column("expiresAt") <= time).deleteAll(db)
      try row.insert(db)
    }
    return row.view(token: token)
  }

  /// Who makes a token, nil for the platform's administrator, and what he may do. Tokens make no tokens: what leaked
  /// would outlive its end.
  private static func maker(_ caller: ServiceContext.Caller?) throws -> (user: String?, rights: Set<Right>) {
    switch caller {
    case .admin: return (nil, Role.platformAdmin.rights)
    case .user(let token) where token.sid == "admin": return (nil, Set(token.scopes))
    case .user(let token) where token.sid.hasPrefix("ses-"): return (token.sub, Set(token.scopes))
    default:
      throw Problem(
        code: "session_needed", status: 403, detail: "An API token cannot make others.", remedy: "Sign in.")
    }
  }

  /// The caller's own; of everybody to those who say who may do what.
  func list(_ tenant: String, by caller: ServiceContext.Caller?, limit: Int, after: String?) async throws
    -> [APITokenRecord]
  {
    let user = Self.confined(caller)
    return try await database.pool.read { db in
      var rows = APITokenRecord.filter(Column("tenant") == tenant && Column("id") > (after ?? ""))
      if let user { rows = rows.filter(Column("user") == user) }
      return try rows.order(Column("id")).limit(limit).fetchAll(db)
    }
  }

  func revoke(_ tenant: String, _ id: String, by caller: ServiceContext.Caller?) async throws {
    let user = Self.confined(caller)
    try await database.pool.audited { [now] db in
      guard let row = try APITokenRecord.find(tenant, id, db), user == nil || row.user == user else {
        throw Problem.notFound("API token \(id)")
      }
      try row.delete(db)
      try Revocation.add(row.id, at: now(), db)
    }
  }

  /// The user whose tokens are the only ones to be seen; nil: all.
  private static func confined(_ caller: ServiceContext.Caller?) -> String? {
    guard case .user(let token) = caller, !token.may(.own) else { return nil }
    return token.sub
  }
}
