public import GRDB

/// Opens a service's own SQLite database.
public enum Database {
  /// WAL, 10 s busy time-out, foreign keys, `synchronous=FULL` (a commit that returned survives power loss: intents must),
  /// immediate transactions; then brings the tables to the newest form.
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
      if try pool.read(migrations.hasBeenSuperseded) {
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
}
