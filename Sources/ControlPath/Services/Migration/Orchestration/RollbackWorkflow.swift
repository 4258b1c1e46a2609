import Foundation
import GRDB
import Machines
import Wire
import Workflows

/// A rollback: the target is powered off, its volumes are kept, and the source's owner starts the source again. Its
/// first sync after that is a compare.
struct RollbackState: Codable, Sendable {
  var migration: String
  var key: String
}

extension Orchestrator {
  var rollbackWorkflow: Workflow<RollbackState> {
    Workflow(kind: "rollback", first: "stop")
      .step("stop", retry: .forever, stopTarget)
      .step("stopped", retry: .forever, awaitStopped)
      .step("open", retry: .forever, openForSource)
      .step("home", retry: .forever, awaitSource)
  }

  private func stopTarget(_ state: inout RollbackState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    guard let launch = migration.switchLaunch,
      let row = try await database.find(LaunchRow.self, context.tenant, launch)
    else { return .next("open") }
    let clouds = try clouds(context.tenant)
    guard let machine = try await clouds.machine(row.machine) else { return .next("open") }
    if machine.state != .stopped { try await clouds.power(row.machine, .stop) }
    return .next("stopped")
  }

  private func awaitStopped(_ state: inout RollbackState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    guard let launch = migration.switchLaunch,
      let row = try await database.find(LaunchRow.self, context.tenant, launch)
    else { return .next("open") }
    let machine = try await clouds(context.tenant).machine(row.machine)
    if let machine, machine.state != .stopped, machine.state != .failed { return later(context) }
    try await database.update(LaunchRow.self, context.tenant, row.id) { $0.state = .stopped }
    return .next("open")
  }

  private func openForSource(_ state: inout RollbackState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (now, tenant, id, key) = (now(), context.tenant, state.migration, state.key)
    try await database.write { db in
      try MigrationDatabase.update(MigrationRow.self, tenant, id, db) {
        guard $0.awaitingSourceSince == nil else { return }
        ($0.awaitingSourceSince, $0.sealedFinalAt, $0.switchedAt) = (now, nil, nil)
        $0.nextMode = .compare
        $0.problem = Problem(
          code: "start_the_source", status: 409, detail: "The target is off and the source has not called home yet.",
          remedy: "Power the source on. Its agent connects by itself.")
        $0.state = .attention
      }
      try EventRow(
        id: "evt-back-" + key, tenant: tenant, at: now, migration: id, code: "rolled_back",
        message: "The target is off; what it wrote since the switch is kept on its volumes and is not on the source."
      ).insert(db, onConflict: .ignore)
    }
    return .next("home")
  }

  /// The agent's next call wakes this.
  private func awaitSource(_ state: inout RollbackState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    guard let since = migration.awaitingSourceSince,
      let source = try await database.find(SourceRow.self, context.tenant, migration.source)
    else { return .done }
    guard source.lastSeenAt > since else { return context.again(in: 5) }
    let (now, key) = (now(), state.key)
    try await database.write { db in
      try MigrationDatabase.update(MigrationRow.self, migration.tenant, migration.id, db) {
        ($0.awaitingSourceSince, $0.problem, $0.activity) = (nil, nil, nil)
        ($0.state, $0.nextSyncAt) = (.insync, now)
      }
      try EventRow(
        id: "evt-home-" + key, tenant: migration.tenant, at: now, migration: migration.id, code: "source_home",
        message: "The source called home; a sync in mode compare finds what differs."
      ).insert(db, onConflict: .ignore)
    }
    return .done
  }
}
