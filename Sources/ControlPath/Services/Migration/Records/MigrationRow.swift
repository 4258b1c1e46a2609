import GRDB
import Wire

struct MigrationRow: TenantRow {
  static let databaseTableName = "migration"
  var id: String
  var tenant: String
  var name: String
  var source: String
  var target: String
  var state: MigrationAPI.State
  var paused: Bool
  var problem: Problem?
  var schedule: Int?
  var retention: Int
  var limits: SyncCommand.Limits
  var disks: [MigrationAPI.Migration.Disk]
  var createdAt: Int
  var lastPointAt: Int?
  var nextSyncAt: Int?
  /// What the next sync must be, whatever is due: `compare` after a rollback.
  var nextMode: SyncCommand.Mode?
  /// Failed syncs since the last point.
  var failures: Int
  /// The workflow that has the migration to itself: a switch, a rollback, a finish, a removal.
  var activity: String?
  /// When the gateway sealed a final sync: from then on the source must stay off until a rollback.
  var sealedFinalAt: Int?
  var switchedAt: Int?
  var switchLaunch: String?
  var rollbackStatement: String?
  /// A rollback waits for the source to call home.
  var awaitingSourceSince: Int?
  var scrub: MigrationAPI.Scrub?

  func view(activeSync: String?) -> MigrationAPI.Migration {
    MigrationAPI.Migration(
      id: id, name: name, source: source, target: target, state: state, paused: paused, problem: problem,
      schedule: schedule, retention: retention, limits: limits, disks: disks, createdAt: createdAt,
      lastPointAt: lastPointAt, nextSyncAt: nextSyncAt, activeSync: activeSync, switchedAt: switchedAt,
      switchLaunch: switchLaunch, rollbackStatement: rollbackStatement, scrub: scrub)
  }

  /// The state between activities.
  var restingState: MigrationAPI.State {
    if state == .done { return .done }
    if problem != nil { return .attention }
    if switchedAt != nil { return .switching }
    return lastPointAt == nil ? (state == .connecting ? .connecting : .copying) : .insync
  }
}

struct SyncRow: TenantRow {
  static let databaseTableName = "sync"
  var id: String
  var tenant: String
  var migration: String
  /// Its place among the migration's syncs, from 1: a gateway never opens an older session over a later one.
  var ordinal: Int
  var mode: SyncCommand.Mode
  var final: Bool
  var state: MigrationAPI.Sync.State
  var progress: SyncProgress?
  var problem: Problem?
  var createdAt: Int
  var endedAt: Int?
  /// What is read again at both ends though it did not change.
  var scrub: ScrubWindow?

  /// The command to the agent has a name of its own, so that a step that runs twice gives it once.
  var command: String { "cmd-" + id }
  var point: String { "pnt-" + id }

  var view: MigrationAPI.Sync {
    MigrationAPI.Sync(
      id: id, migration: migration, mode: mode, final: final, state: state, progress: progress, problem: problem,
      createdAt: createdAt, endedAt: endedAt)
  }
}

extension SyncRow {
  /// A new sync, with the place that follows on those there are. To be inserted in the same transaction.
  static func next(
    _ id: String, of migration: MigrationRow, mode: SyncCommand.Mode, final: Bool = false,
    scrub: ScrubWindow? = nil, now: Int, _ db: Database
  ) throws -> SyncRow {
    let last = try Int.fetchOne(
      db, sql: "SELECT MAX(ordinal) FROM sync WHERE tenant = ? AND migration = ?",
      arguments: [migration.tenant, migration.id])
    return SyncRow(
      id: id, tenant: migration.tenant, migration: migration.id, ordinal: (last ?? 0) + 1, mode: mode, final: final,
      state: .preparing, createdAt: now, scrub: scrub)
  }
}

struct PointRow: TenantRow {
  static let databaseTableName = "point"
  var id: String
  var tenant: String
  var migration: String
  var sync: String
  var final: Bool
  var snapshots: [String]
  var receipt: SealReceipt
  var createdAt: Int
  /// Its snapshots are being deleted; nothing may be launched from it any more.
  var removing: Bool
  /// The agent's signed statement, and the gateway that sealed: what evidence is made of.
  var statement: String?
  var gateway: CloudsAPI.Gateway?
  var check: MigrationAPI.PointCheck?

  var view: MigrationAPI.Point {
    MigrationAPI.Point(
      id: id, migration: migration, sync: sync, final: final, snapshots: snapshots, receipt: receipt,
      createdAt: createdAt, hasEvidence: statement != nil && gateway?.certificate != nil, check: check)
  }
}
