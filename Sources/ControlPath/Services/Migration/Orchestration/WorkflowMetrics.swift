import ServiceKit
import WorkflowSQLite
import Workflows

/// Workflows as `/metrics` shows them.
struct WorkflowMetrics: Sendable {
  let registry: MetricRegistry

  @Sendable func note(_ step: FinishedStep) {
    registry.count(
      "godwit_workflow_steps_total", "Steps of workflows that were run, by what came of them.",
      ["kind": step.kind, "step": step.step, "result": step.result.rawValue])
  }

  /// Read from the store, so that every process of the service says the same.
  func addGauges(_ orchestrator: Orchestrator) {
    registry.gauge("godwit_workflows_open", "Workflows that have not ended.") {
      guard let open = try? await orchestrator.store.unfinished(kinds: orchestrator.catalog.kinds) else { return [] }
      let byKind = Dictionary(grouping: open, by: \.kind)
      return orchestrator.catalog.kinds.map { (["kind": $0], Double(byKind[$0]?.count ?? 0)) }
    }
  }
}
