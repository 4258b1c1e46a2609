import Foundation
import GRDB
import Wire
import Workflows

/// A switch: a final sync, its point, the machine on the target, its proof. It can be aborted until the final sync is
/// sealed; after that the source stays off and there is a rollback.
struct SwitchState: Codable, Sendable {
  var migration: String
  /// Names what this switch makes.
  var sync: String
  var launch: String
  var wish: MigrationAPI.LaunchWish
  var cancelSent = false
}

extension Orchestrator {
  var switchWorkflow: Workflow<SwitchState> {
    Workflow(kind: "switch", first: "final", onFailure: "failed")
      .step("final", startFinalSync)
      .step("syncing", retry: .forever, awaitFinalSync)
      .step("launch", retry: .forever, startSwitchLaunch)
      .step("launching", retry: .forever, awaitSwitchLaunch)
      .step("failed", retry: .forever, noteFailedSwitch)
  }

  private func startFinalSync(_ state: inout SwitchState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .failed(.cancelled) }
    let (migration, id, now) = (try await migration(context.tenant, state.migration), state.sync, now())
    // A sync that ended since the switch was asked for may have found something.
    if migration.scrub?.open ?? 0 > 0, try await database.find(SyncRow.self, context.tenant, id) == nil {
      return .failed(WorkflowProblem(Problem.mismatchesOpen(migration)))
    }
    // Another sync may still run: the final one follows it.
    let begun = try await database.write { db -> Bool in
      if try MigrationDatabase.find(SyncRow.self, migration.tenant, id, db) != nil { return true }
      let busy = SyncRow.filter(
        Column("tenant") == migration.tenant && Column("migration") == migration.id && Column("endedAt") == nil)
      guard try busy.fetchCount(db) == 0 else { return false }
      let row = try SyncRow.next(id, of: migration, mode: .delta, final: true, now: now, db)
      try row.insert(db)
      try start(
        syncWorkflow, id: Self.syncWorkflowID(row.id), tenant: row.tenant,
        state: SyncState(migration: row.migration, sync: row.id), db)
      return true
    }
    return begun ? .next("syncing") : later(context)
  }

  private func awaitFinalSync(_ state: inout SwitchState, _ context: WorkflowContext) async throws -> StepOutcome {
    guard let sync = try await database.find(SyncRow.self, context.tenant, state.sync) else {
      return .failed(.inconsistent("the final sync \(state.sync) is gone"))
    }
    switch sync.state {
    case .done: return .next("launch")
    case .cancelled: return .failed(.cancelled)
    case .failed:
      return .failed(sync.problem.map(WorkflowProblem.init) ?? .inconsistent("the final sync failed without a reason"))
    case .preparing, .running, .sealed:
      if context.cancelRequested, !state.cancelSent, sync.state != .sealed {
        try await cancel(Self.syncWorkflowID(sync.id))
        state.cancelSent = true
      }
      return later(context)
    }
  }

  private func startSwitchLaunch(_ state: inout SwitchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let launch = LaunchRow(
      id: state.launch, tenant: context.tenant, migration: state.migration, point: "pnt-" + state.sync, kind: .switch,
      state: .cloning, wish: state.wish, forwards: [], createdAt: now())
    try await database.write { db in
      try launch.insert(db, onConflict: .ignore)
      try MigrationDatabase.update(MigrationRow.self, launch.tenant, launch.migration, db) {
        $0.switchLaunch = launch.id
      }
      try start(
        launchWorkflow, id: Self.launchWorkflowID(launch.id), tenant: launch.tenant,
        state: LaunchState(migration: launch.migration, launch: launch.id), db)
    }
    return .next("launching")
  }

  private func awaitSwitchLaunch(_ state: inout SwitchState, _ context: WorkflowContext) async throws -> StepOutcome {
    guard let launch = try await database.find(LaunchRow.self, context.tenant, state.launch) else {
      return .failed(.inconsistent("the launch \(state.launch) is gone"))
    }
    switch launch.state {
    case .running: break
    case .failed, .removed, .stopped:
      return .failed(launch.problem.map(WorkflowProblem.init) ?? .boot("its launch was removed"))
    case .cloning, .repairing, .starting, .removing, .handedOver: return later(context)
    }
    let now = now()
    try await database.write { db in
      try MigrationDatabase.update(MigrationRow.self, launch.tenant, launch.migration, db) {
        ($0.switchedAt, $0.problem, $0.activity) = ($0.switchedAt ?? now, nil, nil)
      }
      try EventRow(
        id: "evt-up-" + launch.id, tenant: launch.tenant, at: now, migration: launch.migration, code: "switched",
        message: "The machine runs on the target; finish, or roll back."
      ).insert(db, onConflict: .ignore)
    }
    return .done
  }

  private func noteFailedSwitch(_ state: inout SwitchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let problem = context.problem ?? .inconsistent("a switch failed without a reason")
    let (now, migrationID, key) = (now(), state.migration, state.sync)
    try await database.write { db in
      guard
        let row = try MigrationDatabase.update(
          MigrationRow.self, context.tenant, migrationID, db,
          {
            ($0.activity, $0.switchLaunch) = (nil, nil)
            if problem == .cancelled, $0.sealedFinalAt == nil {
              ($0.problem, $0.state) = (nil, .insync)
            } else {
              ($0.problem, $0.state) = (Problem(problem), .attention)
            }
            if $0.sealedFinalAt == nil { $0.nextSyncAt = $0.schedule.map { now + $0 } }
          })
      else { return }
      let after = try Self.sourceAfterSwitch(row, key, db)
      try EventRow(
        id: "evt-end-" + key + "-switch", tenant: context.tenant, at: now, migration: migrationID,
        code: problem == .cancelled ? "switch_aborted" : "switch_failed",
        message: "The switch ended without the target. \(problem.detail) \(after)"
      ).insert(db, onConflict: .ignore)
    }
    return problem == .cancelled ? .cancelled : .failed(problem)
  }

  /// What is known of the source once a switch has failed: that it runs only the agent can say.
  private static func sourceAfterSwitch(_ row: MigrationRow, _ sync: String, _ db: GRDB.Database) throws -> String {
    if row.sealedFinalAt != nil {
      return "The source is off: switch again to launch from the final point, or roll back."
    }
    let command = try MigrationDatabase.find(SyncRow.self, row.tenant, sync, db).flatMap {
      try MigrationDatabase.find(CommandRow.self, row.tenant, $0.command, db)
    }
    guard let command, command.report?.sourceRuns != true else { return "The source goes on as before." }
    return "The source's agent has not said that the source runs: look at its console, and reset it if it stands still."
  }
}
