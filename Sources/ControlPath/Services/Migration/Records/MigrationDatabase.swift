import GRDB
import ServiceKit
import Wire

/// The migration service's own database.
struct MigrationDatabase: Sendable {
  let pool: DatabasePool

  init(path: String) throws { pool = try ServiceKit.Database.open(path, migrations: Self.migrator) }

  /// One transaction; GRDB makes every writing one IMMEDIATE. In a user's request it holds its audit event, which is about
  /// the row that `body` answers with.
  func write<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
    try await pool.audited(
      subject: { value in
        (value as? any TenantRow).map { row in
          AuditSubject(tenant: row.tenant, object: "\(type(of: row).databaseTableName) \(row.id)")
        }
      }, body)
  }

  func note(_ event: EventRow) async throws { try await write { try event.insert($0) } }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("migration-1") { db in
      try identities(db)
      try migrations(db)
      try launches(db)
    }
    migrator.registerMigration("sync-ordinal") { db in
      try db.alter(table: "sync") { $0.add(column: "ordinal", .integer).notNull().defaults(to: 0) }
      try db.execute(sql: "UPDATE sync SET ordinal = rowid")
    }
    migrator.registerMigration("evidence-1") { db in
      try db.alter(table: "migration") { $0.add(column: "scrub", .text) }
      try db.alter(table: "sync") { $0.add(column: "scrub", .text) }
      try db.alter(table: "point") { t in
        t.add(column: "statement", .text)
        t.add(column: "gateway", .text)
        t.add(column: "check", .text)
      }
    }
    migrator.registerMigration("seats-1", migrate: SeatBook.makeTables)
    AuditOutbox.register(in: &migrator)
    return migrator
  }

  private static func identities(_ db: GRDB.Database) throws {
    try db.create(table: "enrolmentToken") { t in
      t.primaryKey("hash", .text)
      t.column("tenant", .text).notNull()
      t.column("expiresAt", .integer).notNull()
      t.column("usedBy", .text)
    }
    try db.create(table: "source") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull().indexed()
      t.column("name", .text).notNull()
      t.column("thumbprint", .text).notNull().unique()
      t.column("publicKey", .text).notNull()
      t.column("machine", .text).notNull()
      t.column("agentVersion", .text).notNull()
      t.column("enrolledAt", .integer).notNull()
      t.column("lastSeenAt", .integer).notNull()
      t.column("instance", .text)
      t.column("formerInstances", .text).notNull()
      t.column("problem", .text)
    }
    try db.create(table: "seenProof") { t in
      t.column("thumbprint", .text).notNull()
      t.column("jti", .text).notNull()
      t.column("expiresAt", .integer).notNull().indexed()
      t.primaryKey(["thumbprint", "jti"])
    }
    try db.create(table: "command") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull()
      t.column("source", .text).notNull()
      t.column("body", .text).notNull()
      t.column("knownTo", .text)
      t.column("report", .text)
      t.column("ended", .boolean).notNull()
      t.column("waker", .text)
      t.column("createdAt", .integer).notNull()
    }
    try db.create(index: "command_open", on: "command", columns: ["source"], condition: Column("ended") == false)
    try db.create(table: "event") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull()
      t.column("at", .integer).notNull()
      t.column("migration", .text).indexed()
      t.column("source", .text)
      t.column("code", .text).notNull()
      t.column("message", .text).notNull()
    }
  }

  private static func migrations(_ db: GRDB.Database) throws {
    try db.create(table: "migration") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull().indexed()
      t.column("name", .text).notNull()
      t.column("source", .text).notNull().references("source")
      t.column("target", .text).notNull()
      t.column("state", .text).notNull()
      t.column("paused", .boolean).notNull()
      t.column("problem", .text)
      t.column("schedule", .integer)
      t.column("retention", .integer).notNull()
      t.column("limits", .text).notNull()
      t.column("disks", .text).notNull()
      t.column("createdAt", .integer).notNull()
      t.column("lastPointAt", .integer)
      t.column("nextSyncAt", .integer)
      t.column("nextMode", .text)
      t.column("failures", .integer).notNull()
      t.column("activity", .text)
      t.column("sealedFinalAt", .integer)
      t.column("switchedAt", .integer)
      t.column("switchLaunch", .text)
      t.column("rollbackStatement", .text)
      t.column("awaitingSourceSince", .integer)
    }
    try db.create(table: "sync") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull()
      t.column("migration", .text).notNull().indexed()
      t.column("mode", .text).notNull()
      t.column("final", .boolean).notNull()
      t.column("state", .text).notNull()
      t.column("progress", .text)
      t.column("problem", .text)
      t.column("createdAt", .integer).notNull()
      t.column("endedAt", .integer)
    }
    // No session of a migration starts before the one before it has ended.
    try db.create(
      index: "sync_one", on: "sync", columns: ["migration"], options: .unique, condition: Column("endedAt") == nil)
    try db.create(table: "point") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull()
      t.column("migration", .text).notNull().indexed()
      t.column("sync", .text).notNull()
      t.column("final", .boolean).notNull()
      t.column("snapshots", .text).notNull()
      t.column("receipt", .text).notNull()
      t.column("createdAt", .integer).notNull()
      t.column("removing", .boolean).notNull()
    }
  }

  private static func launches(_ db: GRDB.Database) throws {
    try db.create(table: "launch") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull()
      t.column("migration", .text).notNull().indexed()
      t.column("point", .text).notNull()
      t.column("kind", .text).notNull()
      t.column("state", .text).notNull()
      t.column("wish", .text).notNull()
      t.column("forwards", .text).notNull()
      t.column("repair", .text)
      t.column("proof", .text)
      t.column("problem", .text)
      t.column("createdAt", .integer).notNull()
      t.column("expiresAt", .integer)
    }
    try db.create(table: "screenshot") { t in
      t.primaryKey("launch", .text)
      t.column("tenant", .text).notNull()
      t.column("png", .blob).notNull()
    }
  }
}
