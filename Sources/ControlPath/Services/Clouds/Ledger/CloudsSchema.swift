import GRDB
import ServiceKit

/// The clouds service's tables. Every row belongs to a tenant.
enum CloudsSchema {
  static var migrations: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("clouds-1") { database in
      try database.create(table: "installation") { table in
        table.column("id", .text).notNull().primaryKey()
      }
      try database.create(table: "target") { table in
        table.column("tenant", .text).notNull()
        table.column("id", .text).notNull()
        table.column("provider", .text).notNull()
        table.column("endpoint", .text).notNull()
        table.column("secret", .blob)
        table.primaryKey(["tenant", "id"])
      }
      try database.create(table: "object") { table in
        table.column("tenant", .text).notNull()
        table.column("kind", .text).notNull()
        table.column("id", .text).notNull()
        table.column("key", .text).notNull().unique()
        table.column("target", .text).notNull()
        table.column("owner", .text).notNull()
        table.column("wish", .blob).notNull()
        table.column("tags", .blob).notNull()
        table.column("wanted", .boolean).notNull().defaults(to: true)
        table.column("state", .text).notNull()
        table.column("observed", .blob)
        table.column("problem", .blob)
        table.column("location", .text)
        table.column("attached", .boolean).notNull().defaults(to: false)
        table.column("power", .text)
        table.column("createdAt", .double).notNull()
        table.column("expiresAt", .double)
        table.column("deletedAt", .double)
        table.column("attempts", .integer).notNull().defaults(to: 0)
        table.column("nextAt", .double).notNull()
        table.primaryKey(["tenant", "kind", "id"])
        table.foreignKey(["tenant", "target"], references: "target", columns: ["tenant", "id"])
      }
      try database.create(index: "object_owner", on: "object", columns: ["tenant", "owner"])
      try database.create(index: "object_due", on: "object", columns: ["nextAt"])
    }
    AuditOutbox.register(in: &migrator)
    return migrator
  }
}
