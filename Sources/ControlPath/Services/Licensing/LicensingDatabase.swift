import GRDB
import ServiceKit
import Wire

/// The licences that were issued.
struct LicensingDatabase: Sendable {
  let pool: DatabasePool

  init(path: String) throws { pool = try ServiceKit.Database.open(path, migrations: Self.migrator) }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("licensing-1") { db in
      try db.create(table: "licence") { t in
        t.primaryKey("id", .text)
        t.column("tenant", .text).notNull().indexed()
        t.column("edition", .text).notNull()
        t.column("seats", .integer).notNull()
        t.column("claims", .text).notNull()
        t.column("revokedAt", .integer)
        t.column("licence", .text).notNull()
      }
    }
    AuditOutbox.register(in: &migrator)
    return migrator
  }

  /// Keeps a licence, unless one of its id is known: that one is answered.
  func keep(_ issued: LicensingAPI.Issued) async throws -> LicensingAPI.Issued {
    let row = LicenceRow(issued)
    return try await pool.audited(subject: \.subject) { db in
      if let known = try LicenceRow.find(row.tenant, row.id, db) { return known }
      try row.insert(db)
      return row
    }.view
  }

  /// - Parameter tenant: whose; nil: of every tenant, for the operator.
  func list(_ tenant: String?, limit: Int, after: String?) async throws -> [LicensingAPI.Issued] {
    try await pool.read { db in
      var rows = LicenceRow.filter(Column("id") > (after ?? ""))
      if let tenant { rows = rows.filter(Column("tenant") == tenant) }
      return try rows.order(Column("id")).limit(limit).fetchAll(db)
    }.map(\.view)
  }

  /// - Parameter tenant: whose; nil: of any tenant, for the operator.
  func find(_ tenant: String?, _ id: String) async throws -> LicensingAPI.Issued {
    guard let row = try await pool.read({ try LicenceRow.find(tenant, id, $0) }) else {
      throw Problem.notFound("licence \(id)")
    }
    return row.view
  }

  /// Makes a licence void from now on; once it is, nothing changes.
  func revoke(_ id: String, at now: Int) async throws -> LicensingAPI.Issued {
    try await pool.audited(subject: \.subject) { db in
      guard var row = try LicenceRow.find(nil, id, db) else { throw Problem.notFound("licence \(id)") }
      row.revokedAt = row.revokedAt ?? now
      try row.update(db)
      return row
    }.view
  }
}

private struct LicenceRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "licence"
  var id: String
  var tenant: String
  /// What is searched or shown to operators who look into the database; the truth is `claims`.
  var edition: String
  var seats: Int
  var claims: Licence
  var revokedAt: Int?
  var licence: String

  init(_ issued: LicensingAPI.Issued) {
    (id, tenant, edition, seats) = (issued.id, issued.tenant, issued.edition.rawValue, issued.seats)
    claims = Licence(
      id: issued.id, tenant: issued.tenant, edition: issued.edition, seats: issued.seats, iat: issued.issuedAt,
      nbf: issued.from, exp: issued.until)
    (revokedAt, licence) = (issued.revokedAt, issued.licence)
  }

  var view: LicensingAPI.Issued { .init(claims, licence: licence, revokedAt: revokedAt) }
  var subject: AuditSubject? { AuditSubject(tenant: tenant, object: "licence \(id)") }

  static func find(_ tenant: String?, _ id: String, _ db: GRDB.Database) throws -> LicenceRow? {
    let named = filter(Column("id") == id)
    return try (tenant.map { named.filter(Column("tenant") == $0) } ?? named).fetchOne(db)
  }
}
