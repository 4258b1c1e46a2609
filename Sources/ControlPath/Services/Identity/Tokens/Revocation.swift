import GRDB
import Wire

/// What ends access tokens before their time. Published beside the keys for as long as such a token could still be good.
enum Revocation {
  static func create(_ db: GRDB.Database) throws {
    try db.create(table: "revocation") { t in
      t.primaryKey("id", .text)
      t.column("at", .integer).notNull()
    }
  }

  /// - Parameter id: as in `KeySet.revoked`.
  static func add(_ id: String, at time: Int, _ db: GRDB.Database) throws {
    try db.execute(sql: "DELETE FROM revocation WHERE at < ?", arguments: [time - 2 * AccessToken.life])
    try db.execute(sql: "INSERT OR REPLACE INTO revocation (id, at) VALUES (?, ?)", arguments: [id, time])
  }

  static func recent(at time: Int, _ db: GRDB.Database) throws -> [String: Int]? {
    let rows = try Row.fetchAll(
      db, sql: "SELECT id, at FROM revocation WHERE at >= ?", arguments: [time - 2 * AccessToken.life])
    return rows.isEmpty ? nil : Dictionary(uniqueKeysWithValues: rows.map { ($0["id"], $0["at"]) })
  }
}
