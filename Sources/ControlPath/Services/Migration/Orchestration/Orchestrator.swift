import Foundation
import GRDB
import Logging
import ServiceKit
import Wire
import WorkflowSQLite
import Workflows

/// What every workflow of the service works with.
struct Orchestrator: Sendable {
  let configuration: MigrationConfiguration
  let database: MigrationDatabase
  let store: SQLiteWorkflowStore
  let logger: Logger

  var auditor: Auditor { Auditor(service: "migration", writer: database.pool, fronts: configuration.fronts) }

  /// Seconds since 1970.
  func now() -> Int { Int(configuration.clock.now().timeIntervalSince1970) }

  func clouds(_ tenant: String) throws -> CloudsClient { try CloudsClient(configuration, tenant: tenant) }

  /// Creates a workflow under an id, in the transaction that makes it necessary; a second time nothing happens.
  func start<State: Codable & Sendable>(
    _ workflow: Workflow<State>, at step: String? = nil, id: String, tenant: String, state: State, _ db: GRDB.Database
  ) throws {
    let now = configuration.clock.now()
    try SQLiteWorkflowStore.insert(
      WorkflowRecord(
        id: id, kind: workflow.kind, tenant: tenant, step: step ?? workflow.first,
        state: WorkflowCatalog.encode(state), wakeAt: now, createdAt: now, updatedAt: now), db)
  }

  func wake(_ id: String) async throws { try await store.wake(id, now: configuration.clock.now()) }

  func cancel(_ id: String) async throws { try await store.requestCancel(id, now: configuration.clock.now()) }

  /// The row of the migration a workflow works for.
  func migration(_ tenant: String, _ id: String) async throws -> MigrationRow {
    guard let row = try await database.find(MigrationRow.self, tenant, id) else {
      throw WorkflowProblem(
        code: "migration_gone", detail: "The migration \(id) does not exist any more.", remedy: "Nothing to do.")
    }
    return row
  }

  var catalog: WorkflowCatalog {
    var catalog = WorkflowCatalog()
    catalog.add(syncWorkflow)
    catalog.add(launchWorkflow)
    catalog.add(switchWorkflow)
    catalog.add(rollbackWorkflow)
    catalog.add(finishWorkflow)
    catalog.add(verifyWorkflow)
    return catalog
  }

  /// The time between two looks at something that settles.
  func later(_ context: WorkflowContext) -> StepOutcome { context.again(in: configuration.settleInterval) }

  /// Nil once every one is ready, else what to answer.
  func waiting(
    _ context: WorkflowContext, _ states: [(id: String, state: CloudsAPI.State?, problem: Problem?)]
  ) -> StepOutcome? {
    for (id, state, problem) in states where state == .failed {
      return .failed(
        problem.map(WorkflowProblem.init)
          ?? WorkflowProblem(
            code: "resource_failed", detail: "The target could not make \(id).", remedy: "Look at the target's log."))
    }
    return states.allSatisfy { $0.state == .ready } ? nil : later(context)
  }
}
