import Foundation
import GRDB
import Wire
import Workflows

/// This service's records may be put back to a copy of an earlier time. The gateway, which remembers the sessions opened
/// since, is how that is noticed: it opens none that comes before them, so no old command is carried out again.
extension Orchestrator {
  /// Seconds after its seal in which a receipt is believed to be of what the volumes hold, without asking.
  private static let freshness = 60
  /// A gateway that names more is not believed.
  private static let highestOrdinal = 1 << 53

  /// Whether a later session than this one was opened since its seal: then the volumes hold something else by now, and a
  /// snapshot made now would be no point of this receipt.
  func wasFollowed(_ sync: SyncRow, _ receipt: SealReceipt?, _ state: SyncState) async throws -> Bool {
    guard let receipt, receipt.sealedAt < now() - Self.freshness else { return false }
    guard let last = try await askGateway(sync, state, retire: false).last else { return false }
    return last > UInt64(sync.ordinal)
  }

  /// Where a sync failed because its gateway knows of later sessions than these records: the next one follows on those,
  /// and compares, points without their snapshots are marked, and what was made in the time forgotten is told.
  /// - Returns: whether that is so.
  func reconcile(_ reason: WorkflowProblem, _ state: SyncState, _ context: WorkflowContext) async throws -> Bool {
    guard reason.code == "session_retired" || reason == .recordsPutBack, state.isRetired != true,
      let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let named = try? await askGateway(sync, state, retire: false).last, let last = Int(exactly: named),
      // One that bears our own number was opened by better records, too: this one never was. It may also be that this was
      // begun before.
      sync.ordinal...Self.highestOrdinal ~= last
    else { return false }
    try await census(sync)
    try await database.write { db in
      // The next session's ordinal follows on the highest.
      try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) { $0.ordinal = last }
      try MigrationDatabase.update(MigrationRow.self, sync.tenant, sync.migration, db) { $0.nextMode = .compare }
    }
    return true
  }

  /// Compares the points of a migration with what there is at the target. Deletes nothing: what these records do not know
  /// may be the only good copy.
  private func census(_ sync: SyncRow) async throws {
    let leaks = try await clouds(sync.tenant).leaks()
    let missing = Set(leaks.missing.filter { $0.kind == .snapshot }.map(\.id))
    let strays = leaks.unaccounted.filter { $0.owner == nil || $0.owner == sync.migration }
    let now = now()
    try await database.write { db in
      let points = try PointRow.filter(Column("tenant") == sync.tenant && Column("migration") == sync.migration)
        .fetchAll(db)
      for var point in points where !missing.isDisjoint(with: point.snapshots) {
        point.check = .init(
          run: "records", state: .failed, startedAt: now, endedAt: now, problem: .pointMissing(point.id))
        try point.update(db)
        try EventRow(
          id: "evt-missing-" + point.id, tenant: sync.tenant, at: now, migration: sync.migration,
          code: "point_missing", message: Problem.pointMissing(point.id).detail
        ).insert(db, onConflict: .ignore)
      }
      guard !strays.isEmpty else { return }
      let names = strays.prefix(20).map { "\($0.kind.rawValue) \($0.key)" }.joined(separator: ", ")
      try EventRow(
        id: "evt-strays-" + sync.id, tenant: sync.tenant, at: now, migration: sync.migration, code: "objects_unknown",
        message: "The target has \(strays.count) objects that these records do not know: \(names). They may be points "
          + "and tests of the time that the records have forgotten. Nothing of it is removed by itself; look at them "
          + "before you remove them at the target."
      ).insert(db, onConflict: .ignore)
    }
  }
}

extension PointRow {
  /// Its snapshots were found to be gone.
  var isMissing: Bool { check?.problem?.code == "point_missing" }
}

extension WorkflowProblem {
  static let recordsPutBack = WorkflowProblem(
    code: "records_put_back",
    detail: "The gateway knows of later syncs than this service: its records were put back to an earlier state.",
    remedy: "The next sync compares and makes a new point. Look through the events for points that are gone and for "
      + "objects that are unknown; ask again for a switch that you still want.")
}

extension Problem {
  static func pointMissing(_ id: String) -> Problem {
    Problem(
      code: "point_missing", status: 409,
      detail: "The point \(id) stands in the records, but the target has not all of its snapshots any more.",
      remedy: "Use another point, or run a sync.")
  }
}
