import Foundation
import GRDB
import Wire
import WorkflowSQLite
import Workflows

/// The end of a migration. After a switch (`keep`) the machine on the target, its volumes and what they stand on stay;
/// else everything of it goes.
struct FinishState: Codable, Sendable {
  var migration: String
  var keep: Bool
  /// Until when (seconds since 1970) the agent may take to remove itself.
  var agentDeadline: Int?
}

extension Orchestrator {
  /// Seconds the agent may take to remove itself before the migration ends without its word.
  static let uninstallSeconds = 300

  var finishWorkflow: Workflow<FinishState> {
    Workflow(kind: "finish", first: "quiet")
      .step("quiet", retry: .forever, endActivities)
      .step("agent", retry: .forever, removeAgent)
      .step("uninstalling", retry: .forever, awaitUninstall)
      .step("points", retry: .forever, removePoints)
      .step("volumes", retry: .forever, removeReplicas)
      .step("end", retry: .forever, endMigration)
  }

  /// Syncs are cancelled, tests removed, stopped machines of a rollback too.
  private func endActivities(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (tenant, id) = (context.tenant, state.migration)
    let migration = try await migration(tenant, id)
    let (syncs, launches) = try await database.pool.read { db in
      let mine = Column("tenant") == tenant && Column("migration") == id
      return (
        try SyncRow.filter(mine && Column("endedAt") == nil).fetchAll(db),
        try LaunchRow.filter(mine && !["removed", "failed", "handedOver"].contains(Column("state"))).fetchAll(db)
      )
    }
    for sync in syncs { try await cancel(Self.syncWorkflowID(sync.id)) }
    let going = launches.filter { !state.keep || $0.id != migration.switchLaunch }
    for launch in going { try await removeNow(launch) }
    return syncs.isEmpty && going.isEmpty ? .next("agent") : later(context)
  }

  /// Ends a launch: through its own workflow while that goes on, else by a new one that only removes.
  func removeNow(_ launch: LaunchRow) async throws {
    let id = Self.launchWorkflowID(launch.id)
    if let workflow = try await store.workflow(id), workflow.outcome == nil {
      try await cancel(id)
      return
    }
    try await database.write { db in
      try start(
        launchWorkflow, at: "remove", id: id + "-removal", tenant: launch.tenant,
        state: LaunchState(migration: launch.migration, launch: launch.id), db)
    }
  }

  private func removeAgent(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    guard let source = try await database.find(SourceRow.self, context.tenant, migration.source) else {
      return .next("points")
    }
    // Another migration of the source, not done yet, still needs the agent.
    let others = try await database.pool.read { db in
      try MigrationRow.filter(
        Column("tenant") == migration.tenant && Column("source") == migration.source && Column("id") != migration.id
          && Column("state") != "done"
      ).fetchCount(db)
    }
    // After a switch the source is off, however lately it was seen.
    let isOff = migration.sealedFinalAt.map { source.lastSeenAt <= $0 + AgentPresence.goodbyeSeconds } ?? false
    guard source.isOnline(at: now()), !isOff, others == 0 else { return .next("points") }
    let command = CommandRow(
      id: "uninstall-" + migration.id, tenant: context.tenant, source: source.id, body: .uninstall, ended: false,
      waker: context.id, createdAt: now())
    try await database.write { try command.insert($0, onConflict: .ignore) }
    state.agentDeadline = now() + Self.uninstallSeconds
    return .next("uninstalling")
  }

  private func awaitUninstall(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let command = try await database.find(CommandRow.self, context.tenant, "uninstall-" + state.migration)
    let waiting = command?.ended == false && now() < state.agentDeadline ?? 0
    return waiting ? context.again(in: 10) : .next("points")
  }

  private func removePoints(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    let kept = try await keptPoint(migration, state)
    let points = try await database.pool.read { db in
      try PointRow.filter(Column("tenant") == migration.tenant && Column("migration") == migration.id).fetchAll(db)
    }
    for point in points where point.id != kept { try await remove(point, context) }
    return .next("volumes")
  }

  /// The point that the final machine's volumes are clones of: a snapshot with clones is never deleted.
  private func keptPoint(_ migration: MigrationRow, _ state: FinishState) async throws -> String? {
    guard state.keep, let launch = migration.switchLaunch else { return nil }
    return try await database.find(LaunchRow.self, migration.tenant, launch)?.point
  }

  private func removeReplicas(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    var left = 0
    for disk in migration.disks {
      guard try await clouds.volume(disk.volume) != nil else { continue }
      try await clouds.detach(disk.volume)
      try await clouds.deleteVolume(disk.volume)
      left += 1
    }
    return left == 0 ? .next("end") : later(context)
  }

  private func endMigration(_ state: inout FinishState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (now, tenant, id, keep) = (now(), context.tenant, state.migration, state.keep)
    try await database.write { db in
      guard
        let row = try MigrationDatabase.update(
          MigrationRow.self, tenant, id, db,
          { ($0.state, $0.problem, $0.activity, $0.nextSyncAt) = (.done, nil, nil, nil) })
      else { return }
      try SeatBook.settle(row, spent: keep, at: now, db)
      if keep, let launch = row.switchLaunch {
        try MigrationDatabase.update(LaunchRow.self, tenant, launch, db) { $0.state = .handedOver }
      }
      try EventRow(
        id: "evt-done-" + id, tenant: tenant, at: now, migration: id, code: keep ? "finished" : "removed",
        message: keep
          ? "The migration is finished; the machine on the target and its volumes are yours."
          : "The migration ended; everything made for it was removed."
      ).insert(db, onConflict: .ignore)
    }
    return .done
  }
}
