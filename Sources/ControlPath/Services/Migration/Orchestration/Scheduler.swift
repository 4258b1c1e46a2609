import Foundation
import GRDB
import Logging
import ServiceKit
import ServiceLifecycle
import Wire
import Workflows

/// Begins the syncs that are due.
struct Scheduler: Service {
  let orchestrator: Orchestrator

  func run() async throws {
    let configuration = orchestrator.configuration
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do {
          try await once()
        } catch is CancellationError {
          return
        } catch {
          orchestrator.logger.error("schedule.failed", metadata: ["error": "\(error)"])
        }
        do { try await configuration.clock.sleep(configuration.pollInterval) } catch { return }
      }
    }
  }

  /// Over all tenants.
  func once() async throws {
    let now = orchestrator.now()
    let due = try await orchestrator.database.pool.read { db in
      try MigrationRow.filter(
        sql: """
          nextSyncAt <= ? AND paused = 0 AND activity IS NULL AND sealedFinalAt IS NULL AND state <> 'done'
            AND NOT EXISTS (
              SELECT 1 FROM sync
              WHERE sync.tenant = migration.tenant AND sync.migration = migration.id AND endedAt IS NULL)
          """, arguments: [now]
      ).fetchAll(db)
    }
    for migration in due { _ = try await orchestrator.beginSync(migration.tenant, migration.id, mode: nil) }
  }
}

extension Orchestrator {
  /// Begins a sync, or answers with the one that runs.
  /// - Throws: `Problem` 409 where the migration may not sync now.
  func beginSync(
    _ tenant: String, _ id: String, mode: SyncCommand.Mode?, scrub: ScrubWindow? = nil
  ) async throws -> SyncRow {
    let now = now()
    return try await database.write { db in
      guard let migration = try MigrationDatabase.find(MigrationRow.self, tenant, id, db) else {
        throw Problem.notFound("migration \(id)")
      }
      guard migration.activity == nil, migration.sealedFinalAt == nil, migration.state != .done else {
        throw Problem.busy(migration)
      }
      let running = SyncRow.filter(
        Column("tenant") == tenant && Column("migration") == id && Column("endedAt") == nil)
      if let running = try running.fetchOne(db) { return running }
      let row = try SyncRow.next(
        Identifier.make("syn"), of: migration,
        mode: mode ?? migration.nextMode ?? (migration.lastPointAt == nil ? .full : .delta),
        scrub: migration.nextScrub(asked: scrub), now: now, db)
      try row.insert(db)
      try start(
        syncWorkflow, id: Self.syncWorkflowID(row.id), tenant: tenant, state: SyncState(migration: id, sync: row.id), db
      )
      return row
    }
  }
}

extension Problem {
  static func busy(_ migration: MigrationRow) -> Problem {
    let why =
      if migration.state == .done {
        "it is done"
      } else if migration.activity != nil {
        "a switch, rollback or finish is under way"
      } else {
        "its final sync is sealed and the source is off"
      }
    return .conflict(
      "The migration \(migration.id) cannot do that now: \(why).",
      remedy: migration.state == .done ? "Start another migration." : "Wait for it to end, or roll back.")
  }
}
