import Foundation
import GRDB
import Wire
import Workflows

/// One sync: volumes, attachment, grant, command, the agent's report, the gateway's receipt, snapshots, the point.
struct SyncState: Codable, Sendable {
  var migration: String
  var sync: String
  var locations: [String] = []
  var gateway: CloudsAPI.Gateway?
  var cancelSent = false
  /// Times that the target failed to make the snapshots.
  var snapshotFailures: Int?
  /// The gateway has retired the session of a final sync: it can never be sealed.
  var isRetired: Bool?
  /// The gateway's own receipt was taken for the agent's report.
  var isAdopted: Bool?
  /// Until when (seconds since 1970) the agent may take to say that its source runs again.
  var wordDeadline: Int?
}

extension Orchestrator {
  static func syncWorkflowID(_ sync: String) -> String { "w-" + sync }

  var syncWorkflow: Workflow<SyncState> {
    Workflow(kind: "sync", first: "volumes", onFailure: "abandon")
      .step("volumes", prepareVolumes)
      .step("ready", awaitVolumes)
      .step("attach", attachVolumes)
      .step("command", commandAgent)
      .step("wait", awaitReport)
      .step("verify", retry: .forever, verifyReceipt)
      // From the seal on nothing is given up: the source may be switched off.
      .step("snapshot", retry: .forever, takeSnapshots)
      .step("snapshots", retry: .forever, awaitSnapshots)
      .step("record", retry: .forever, recordPoint)
      .step("prune", retry: .forever, prunePoints)
      .step("abandon", retry: .forever, abandonSync)
  }

  private func prepareVolumes(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .failed(.cancelled) }
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    for disk in migration.disks {
      _ = try await clouds.putVolume(
        disk.volume, CloudsAPI.VolumeWish(target: migration.target, size: disk.size, owner: migration.id))
    }
    return .next("ready")
  }

  private func awaitVolumes(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .failed(.cancelled) }
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    var states: [(id: String, state: CloudsAPI.State?, problem: Problem?)] = []
    for disk in migration.disks {
      let volume = try await clouds.volume(disk.volume)
      states.append((disk.volume, volume?.state, volume?.problem))
    }
    return waiting(context, states) ?? .next("attach")
  }

  private func attachVolumes(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    let clouds = try clouds(context.tenant)
    state.locations = []
    for disk in migration.disks {
      do {
        let attachment = try await clouds.attach(disk.volume)
        state.locations.append(attachment.location)
        state.gateway = attachment.gateway
      } catch let problem as Problem where problem.code == "not_ready" {
        return later(context)
      }
    }
    return .next("command")
  }

  private func commandAgent(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let migration = try await migration(context.tenant, state.migration)
    guard let gateway = state.gateway,
      let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let source = try await database.find(SourceRow.self, context.tenant, migration.source)
    else { return .failed(.inconsistent("the sync \(state.sync) lost its source or gateway")) }
    var grant = grant(sync, migration, state, key: source.thumbprint, until: now() + 7 * 86_400)
    grant.written = try await wasWritten(migration, before: sync)
    let body = AgentCommand.Body.sync(
      SyncCommand(
        migration: migration.id, session: sync.id, mode: sync.mode, final: sync.final, gateway: gateway.url,
        grant: try CompactJWS.sign(grant, with: configuration.key), disks: migration.disks.map(\.name),
        identities: migration.disks.map { $0.identity ?? "" }, limits: migration.limits, scrub: sync.scrub))
    let command = CommandRow(
      id: sync.command, tenant: context.tenant, source: source.id, body: body, ended: false, waker: context.id,
      createdAt: now())
    try await database.write { db in
      try command.insert(db, onConflict: .ignore)
      try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) { $0.state = .running }
      try MigrationDatabase.update(MigrationRow.self, sync.tenant, sync.migration, db) {
        if $0.state == .connecting { $0.state = .copying }
      }
    }
    return .next("wait")
  }

  /// Whether an earlier sync may have written to the volumes.
  private func wasWritten(_ migration: MigrationRow, before sync: SyncRow) async throws -> Bool {
    if migration.lastPointAt != nil { return true }
    let begun = SyncRow.filter(
      Column("tenant") == sync.tenant && Column("migration") == sync.migration && Column("id") != sync.id
        && Column("progress") != nil)
    return try await database.pool.read { try begun.fetchCount($0) } > 0
  }

  private func awaitReport(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    guard let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let command = try await database.find(CommandRow.self, context.tenant, sync.command)
    else { return .failed(.inconsistent("the command of sync \(state.sync) is gone")) }
    switch command.report?.state {
    case .done: return .next("verify")
    case .failed, .refused:
      let failure = command.report?.failure
      return .failed(
        WorkflowProblem(
          code: failure?.code ?? "agent_refused",
          detail: "The agent could not finish the sync: \(failure?.message ?? "it does not know the command").",
          remedy: "Mend what the agent names; the next sync goes on from what was settled."))
    case .running where sync.final, nil where sync.final:
      // Only the gateway knows whether the final seal took place; `abandon` asks it before anything is given up.
      if context.cancelRequested { return .failed(.cancelled) }
      return try await wasSealedUnheard(sync, command, state, context)
        ? .next("verify") : context.again(in: min(30, configuration.agentSilence))
    case .running, nil:
      if context.cancelRequested, !state.cancelSent {
        try await cancelAtAgent(command)
        state.cancelSent = true
      }
      return context.again(in: 30)
    }
  }

  private func verifyReceipt(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    guard let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let command = try await database.find(CommandRow.self, context.tenant, sync.command)
    else { return .failed(.inconsistent("the command of sync \(state.sync) is gone")) }
    let migration = try await migration(context.tenant, state.migration)
    let source = try await database.find(SourceRow.self, context.tenant, migration.source)
    let check = ReceiptCheck(
      sync: sync, migration: migration, gatewayKey: state.gateway.flatMap { Base64URL.decode($0.key) } ?? [],
      agentKey: source.flatMap { Base64URL.decode($0.publicKey) } ?? [])
    if let problem = check.problem(command.report?.receipt, statement: command.report?.statement) {
      return .failed(problem)
    }
    if try await wasFollowed(sync, command.report?.receipt, state) { return .failed(.recordsPutBack) }
    let now = now()
    try await database.write { db in
      try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) { $0.state = .sealed }
      guard sync.final else { return }
      try MigrationDatabase.update(MigrationRow.self, sync.tenant, sync.migration, db) {
        $0.sealedFinalAt = $0.sealedFinalAt ?? now
      }
    }
    return .next("snapshot")
  }

  func cancelAtAgent(_ command: CommandRow) async throws {
    let cancel = CommandRow(
      id: "cancel-" + command.id, tenant: command.tenant, source: command.source, body: .cancel(command: command.id),
      ended: false, createdAt: now())
    try await database.write { try cancel.insert($0, onConflict: .ignore) }
  }

  private func abandonSync(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (syncID, cancelled) = (state.sync, context.problem == .cancelled || context.cancelRequested)
    if let outcome = try await concludeFinal(&state, context) { return outcome }
    let reason = context.problem ?? .inconsistent("a sync failed without a reason")
    let isPutBack = cancelled ? false : try await reconcile(reason, state, context)
    let (now, problem) = (now(), isPutBack ? .recordsPutBack : reason)
    if let sync = try await database.find(SyncRow.self, context.tenant, state.sync),
      let command = try await database.find(CommandRow.self, context.tenant, sync.command), !command.ended
    {
      try await cancelAtAgent(command)
    }
    try await database.write { db in
      guard
        let sync = try MigrationDatabase.update(
          SyncRow.self, context.tenant, syncID, db,
          {
            ($0.state, $0.endedAt) = (cancelled ? .cancelled : .failed, $0.endedAt ?? now)
            $0.problem = cancelled ? nil : Problem(problem)
          })
      else { return }
      try MigrationDatabase.update(MigrationRow.self, sync.tenant, sync.migration, db) {
        $0.nextSyncAt = $0.schedule.map { now + $0 }
        guard !cancelled else { return }
        $0.failures += 1
        // Sooner than the schedule says, but ever more slowly.
        let delay = 30 << min($0.failures, 6)
        $0.nextSyncAt = $0.schedule.map { now + min($0, delay) }
        ($0.problem, $0.state) = (Problem(problem), .attention)
      }
      try EventRow(
        id: "evt-end-" + sync.id, tenant: sync.tenant, at: now, migration: sync.migration,
        code: cancelled ? "sync_cancelled" : "sync_failed",
        message: cancelled ? "The sync was cancelled." : problem.detail
      ).insert(db, onConflict: .ignore)
    }
    return cancelled ? .cancelled : .failed(problem)
  }
}

extension WorkflowProblem {
  static let cancelled = WorkflowProblem(
    code: "cancelled", detail: "It was cancelled.", remedy: "Start it again when it is wanted.")

  static func inconsistent(_ detail: String) -> WorkflowProblem {
    WorkflowProblem(
      code: "inconsistent", detail: "The service's records do not fit together: \(detail).",
      remedy: "Start it again; report this if it comes back.")
  }
}
