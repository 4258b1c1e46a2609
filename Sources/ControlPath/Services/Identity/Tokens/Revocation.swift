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

  /// To be the last of its transaction, with the time as it is then: what was granted before saw what was before.
  /// - Parameter id: as in `KeySet.revoked`.
  static func add(_ id: String, at time: Int, _ db: GRDB.Database) throws {
    try db.execute(sql: "DELETE FROM revocation WHERE at < ?", arguments: [time - 2 * AccessToken.life])
    try db.execute(
      sql: """
        INSERT INTO revocation (id, at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = MAX(at, excluded.at)
        """, arguments: [id, time])
  }

  static func recent(at time: Int, _ db: GRDB.Database) throws -> [String: Int]? {
    let rows = try Row.fetchAll(
      db, sql: "SELECT id, at FROM revocation WHERE at >= ?", arguments: [time - 2 * AccessToken.life])
    return rows.isEmpty ? nil : Dictionary(uniqueKeysWithValues: rows.map { ($0["id"], $0["at"]) })
  }
}
