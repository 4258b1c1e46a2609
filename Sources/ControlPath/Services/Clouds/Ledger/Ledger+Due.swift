import GRDB

extension Ledger {
  /// Marks what has expired to go, and answers what needs a step now: over all tenants, for the reconciler alone.
  func due(limit: Int) async throws -> [LedgerRow] {
    let time = now()
    return try await database.write { database in
      try database.execute(
        sql: "UPDATE object SET wanted = 0, nextAt = ?, attempts = 0 WHERE wanted AND expiresAt <= ?",
        arguments: [time, time])
      return try LedgerRow.fetchAll(
        database,
        sql: """
          SELECT * FROM object WHERE nextAt <= ? AND
            (NOT wanted OR power IS NOT NULL OR state IN ('intended', 'creating') OR (kind = 'machine' AND state = 'ready'))
          ORDER BY nextAt LIMIT ?
          """,
        arguments: [time, limit])
    }
  }
}
