import Foundation
import GRDB
import Wire
import Workflows

/// From the seal to the point: snapshots, the record, and the points that retention lets go.
extension Orchestrator {
  /// Attempts at the snapshots of a point before it is told.
  static let snapshotAttempts = 3

  static func snapshotID(_ sync: String, _ disk: Int) -> String { "\(sync)-\(disk)" }

  func takeSnapshots(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    for (index, disk) in migration.disks.enumerated() {
      _ = try await clouds.putSnapshot(
        Self.snapshotID(state.sync, index),
        CloudsAPI.SnapshotWish(target: migration.target, volume: disk.volume, owner: migration.id))
    }
    return .next("snapshots")
  }

  func awaitSnapshots(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    var failed = false
    var ready = true
    for index in migration.disks.indices {
      let id = Self.snapshotID(state.sync, index)
      let snapshot = try await clouds.snapshot(id)
      ready = ready && snapshot?.state == .ready
      if snapshot?.state == .failed {
        failed = true
        // Writes stay refused until a new session opens, so the same instant can be snapshotted again.
        try await clouds.deleteSnapshot(id)
      }
    }
    if failed { return try await repeatSnapshots(&state, context) }
    return ready ? .next("record") : later(context)
  }

  /// A target that goes on failing ends the sync, and the point before stays the last; but not a final one, as the
  /// source may be off: that only tells.
  private func repeatSnapshots(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let failures = (state.snapshotFailures ?? 0) + 1
    state.snapshotFailures = failures
    guard failures >= Self.snapshotAttempts else { return .next("snapshot") }
    let (tenant, migrationID) = (context.tenant, state.migration)
    guard try await database.find(SyncRow.self, tenant, state.sync)?.final != true else {
      try await database.update(MigrationRow.self, tenant, migrationID) { $0.problem = Problem(.snapshotFailed) }
      return .next("snapshot")
    }
    let migration = try await migration(tenant, migrationID)
    for index in migration.disks.indices {
      try await clouds(tenant).deleteSnapshot(Self.snapshotID(state.sync, index))
    }
    return .failed(.snapshotFailed)
  }

  func recordPoint(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    guard let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let report = try await database.find(CommandRow.self, context.tenant, sync.command)?.report,
      let receipt = report.receipt
    else { return .failed(.inconsistent("the receipt of sync \(state.sync) is gone")) }
    let migration = try await migration(context.tenant, state.migration)
    let now = now()
    let point = PointRow(
      id: sync.point, tenant: sync.tenant, migration: sync.migration, sync: sync.id, final: sync.final,
      snapshots: migration.disks.indices.map { Self.snapshotID(sync.id, $0) }, receipt: receipt, createdAt: now,
      removing: false, statement: report.statement, gateway: state.gateway)
    try await database.write { db in
      // A repeat finds the point there and changes nothing.
      guard try MigrationDatabase.find(PointRow.self, point.tenant, point.id, db) == nil else { return }
      try point.insert(db)
      try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) { ($0.state, $0.endedAt) = (.done, now) }
      try MigrationDatabase.update(MigrationRow.self, sync.tenant, sync.migration, db) {
        ($0.lastPointAt, $0.failures, $0.nextMode) = (now, 0, nil)
        $0.nextSyncAt = sync.final ? nil : $0.schedule.map { now + $0 }
        // A new point mends what a failed sync left behind, and nothing else.
        try $0.noteSealed(sync, report.progress?.scrub, at: now, db)
        if $0.activity == nil, $0.state != .ready, $0.state != .testing { ($0.problem, $0.state) = (nil, .insync) }
      }
      try EventRow(
        tenant: sync.tenant, at: now, migration: sync.migration, code: "point_recorded",
        message: "A \(sync.final ? "final " : "")point was recorded and verified."
      ).insert(db)
    }
    return .next("prune")
  }

  /// Deletes snapshots of points beyond the retention that no launch stands on. The newest is never among them.
  func prunePoints(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (tenant, migrationID) = (context.tenant, state.migration)
    let going = try await database.write { db -> [PointRow] in
      guard let migration = try MigrationDatabase.find(MigrationRow.self, tenant, migrationID, db) else { return [] }
      let points = try PointRow.filter(Column("tenant") == tenant && Column("migration") == migrationID)
        .order(Column("rowid").desc).fetchAll(db)
      let used = try Self.pointsInUse(tenant, migrationID, db)
      let kept = points.filter { !$0.removing }
      var going = points.filter(\.removing)
      for var point in kept.dropFirst(max(1, migration.retention))
      where !used.contains(point.id) && !point.final && point.check?.state != .reading {
        point.removing = true
        try point.update(db)
        going.append(point)
      }
      return going
    }
    for point in going { try await remove(point, context) }
    return .done
  }

  /// Points that a launch stands on whose clones may still be there.
  static func pointsInUse(_ tenant: String, _ migration: String, _ db: GRDB.Database) throws -> Set<String> {
    try Set(
      String.fetchAll(
        db,
        sql: "SELECT point FROM launch WHERE tenant = ? AND migration = ? AND state NOT IN ('removed', 'failed')",
        arguments: [tenant, migration]))
  }

  /// Asks for the deletion of a point's snapshots; the clouds service sees it through. Then forgets the point.
  func remove(_ point: PointRow, _ context: WorkflowContext) async throws {
    let clouds = try clouds(context.tenant)
    for snapshot in point.snapshots { try await clouds.deleteSnapshot(snapshot) }
    try await database.write { db in
      _ = try PointRow.filter(Column("tenant") == point.tenant && Column("id") == point.id).deleteAll(db)
    }
  }
}

extension WorkflowProblem {
  static let snapshotFailed = WorkflowProblem(
    code: "snapshot_failed", detail: "The target failed to make the snapshots of the point, again and again.",
    remedy: "Look at the target's own log and quotas. The last point stays good; the next sync tries anew.")
}
