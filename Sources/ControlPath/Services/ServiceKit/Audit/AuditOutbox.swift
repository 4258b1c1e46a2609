import FoundationEssentials
public import GRDB
import Wire

/// Audit events that a service has still to deliver, in its own database: written in the transaction of what they tell of,
/// removed once the operations service has them.
public enum AuditOutbox {
  /// Adds the table to a service's tables, and that of requests which are carried out once.
  public static func register(in migrator: inout DatabaseMigrator) {
    migrator.registerMigration("audit-1") { database in
      try database.execute(
        sql: "CREATE TABLE auditOutbox (n INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    }
    Idempotency.register(in: &migrator)
  }

  static func add(_ event: AuditEvent, _ database: GRDB.Database) throws {
    let body = String(decoding: try JSONEncoder().encode(event), as: UTF8.self)
    try database.execute(sql: "INSERT INTO auditOutbox (body) VALUES (?)", arguments: [body])
  }

  /// The oldest ones, with their numbers.
  static func oldest(_ database: GRDB.Database, limit: Int) throws -> [(number: Int64, event: AuditEvent)] {
    try Row.fetchAll(database, sql: "SELECT n, body FROM auditOutbox ORDER BY n LIMIT ?", arguments: [limit]).map {
      ($0["n"], try JSONDecoder().decode(AuditEvent.self, from: Data(($0["body"] as String).utf8)))
    }
  }

  static func remove(_ numbers: [Int64], _ database: GRDB.Database) throws {
    for number in numbers { try database.execute(sql: "DELETE FROM auditOutbox WHERE n = ?", arguments: [number]) }
  }

  static func count(_ database: GRDB.Database) throws -> Int {
    try Int.fetchOne(database, sql: "SELECT count(*) FROM auditOutbox") ?? 0
  }
}
