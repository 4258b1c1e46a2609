public import GRDB

/// Opens a service's own SQLite database.
public enum Database {
  /// WAL, 10 s busy time-out, foreign keys, `synchronous=FULL` (a commit that returned survives power loss: intents must),
  /// immediate transactions; then brings the tables to the newest form. Several parts may keep their tables in one file:
  /// a migration is named `PART-NUMBER`, and each part judges only its own.
  /// - Throws: `ConfigurationError` when the file cannot be opened or is of a newer version.
  public static func open(_ path: String, migrations: DatabaseMigrator) throws -> DatabasePool {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.foreignKeysEnabled = true
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    do {
      let pool = try DatabasePool(path: path, configuration: configuration)
      if try pool.read({ try isNewer($0, than: migrations) }) {
        throw ConfigurationError(
          "The database \(path) was written by a newer version.", remedy: "Start that version, or restore a copy.")
      }
      try migrations.migrate(pool)
      return pool
    } catch let error as DatabaseError {
      throw ConfigurationError(
        "Cannot open the database \(path): \(error).", remedy: "Check its rights and its folder.")
    }
  }

  /// Whether a migration of one of these parts was applied that is not among them.
  private static func isNewer(_ database: GRDB.Database, than migrations: DatabaseMigrator) throws -> Bool {
    func part(_ identifier: String) -> Substring { identifier.prefix { $0 != "-" } }
    let known = Set(migrations.migrations)
    let parts = Set(known.map(part))
    let applied = try migrations.appliedIdentifiers(database)
    return applied.contains { !known.contains($0) && parts.contains(part($0)) }
  }
}
