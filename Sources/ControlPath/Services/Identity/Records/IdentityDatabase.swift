import GRDB
import ServiceKit

/// The identity service's own database. Secrets are kept as hashes; private keys lie beside it, in files.
struct IdentityDatabase: Sendable {
  let pool: DatabasePool

  init(path: String) throws { pool = try ServiceKit.Database.open(path, migrations: Self.migrator) }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("identity-1") { db in
      try people(db)
      try secrets(db)
    }
    migrator.registerMigration("identity-2") { db in
      try db.create(table: "secondFactor") { t in
        t.primaryKey("user", .text).references("user")
        t.column("secret", .blob).notNull()
        t.column("isInForce", .boolean).notNull()
        t.column("lastStep", .integer).notNull()
        t.column("recovery", .text).notNull()
      }
    }
    migrator.registerMigration("identity-3") { db in
      try db.alter(table: "tenant") { $0.add(column: "limits", .text) }
      try Revocation.create(db)
    }
    AuditOutbox.register(in: &migrator)
    migrator.registerMigration("identity-sign-on") { db in try SignOnProviderRecord.table(db) }
    return migrator
  }

  private static func people(_ db: GRDB.Database) throws {
    try db.create(table: "tenant") { t in
      t.primaryKey("id", .text)
      t.column("name", .text).notNull()
      t.column("createdAt", .integer).notNull()
    }
    try db.create(table: "user") { t in
      t.primaryKey("id", .text)
      t.column("email", .text).notNull().unique()
      t.column("name", .text).notNull()
      t.column("password", .text).notNull()
      t.column("platformRole", .text)
      t.column("disabled", .boolean).notNull()
      t.column("createdAt", .integer).notNull()
    }
    try db.create(table: "membership") { t in
      t.column("tenant", .text).notNull().references("tenant")
      t.column("user", .text).notNull().references("user")
      t.column("role", .text).notNull()
      t.column("since", .integer).notNull()
      t.primaryKey(["tenant", "user"])
    }
    try db.create(index: "membership_user", on: "membership", columns: ["user"])
    try db.create(table: "invitation") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull().indexed().references("tenant")
      t.column("hash", .text).notNull().unique()
      t.column("email", .text).notNull()
      t.column("role", .text).notNull()
      t.column("createdAt", .integer).notNull()
      t.column("expiresAt", .integer).notNull()
      t.column("acceptedBy", .text)
    }
  }

  private static func secrets(_ db: GRDB.Database) throws {
    try db.create(table: "session") { t in
      t.primaryKey("id", .text)
      t.column("hash", .text).notNull().unique()
      t.column("user", .text).notNull().indexed().references("user")
      t.column("createdAt", .integer).notNull()
      t.column("expiresAt", .integer).notNull().indexed()
    }
    try db.create(table: "apiToken") { t in
      t.primaryKey("id", .text)
      t.column("tenant", .text).notNull().indexed()
      t.column("hash", .text).notNull().unique()
      t.column("name", .text).notNull()
      t.column("scopes", .text).notNull()
      t.column("user", .text).references("user")
      t.column("createdAt", .integer).notNull()
      t.column("expiresAt", .integer).notNull()
      t.column("lastUsedAt", .integer)
    }
    try db.create(table: "signingKey") { t in
      t.primaryKey("kid", .text)
      t.column("publicKey", .text).notNull()
      t.column("createdAt", .integer).notNull()
      t.column("signsFrom", .integer).notNull()
    }
    try db.create(table: "attempt") { t in
      t.primaryKey("key", .text)
      t.column("failures", .integer).notNull()
      t.column("lastAt", .double).notNull().indexed()
    }
  }
}
