import Foundation
import Logging

/// One claimed step: run it under its lease, then commit what it answered.
extension WorkflowWorker {
  /// Throws `FaultPoints.Abandoned` only; everything else ends in a commit or, where the lease was lost, in nothing.
  func perform(_ record: WorkflowRecord) async throws {
    let name = "\(record.kind).\(record.step)"
    let change = try await runKeepingLease(record)
    // Cancelled from outside, not by a graceful shutdown: as good as killed.
    try Task.checkCancellation()
    try faults.reach(name, .before)
    do {
      try await store.commit(
        record.id, fence: record.fence, seen: record.signals, change, now: clock.now())
    } catch {
      // The lease runs out and the step runs again.
      logger.warning(
        "workflow.commit.failed", metadata: ["workflow.id": "\(record.id)", "step": "\(name)", "error": "\(error)"])
      return
    }
    try faults.reach(name, .after)
    onStep(FinishedStep(record, change))
    if let outcome = change.outcome {
      logger.info(
        "workflow.ended",
        metadata: [
          "workflow.id": "\(record.id)", "kind": "\(record.kind)", "outcome": "\(outcome.rawValue)",
          "problem": "\(change.problem?.code ?? "")"
        ])
    }
  }

  private func runKeepingLease(_ record: WorkflowRecord) async throws -> WorkflowChange {
    try await withThrowingTaskGroup(of: WorkflowChange?.self) { group in
      group.addTask { try await run(record) }
      group.addTask {
        await keepLease(of: record)
        return nil
      }
      defer { group.cancelAll() }
      while let finished = try await group.next() {
        if let finished { return finished }
        // The lease is lost: tell the step; its commit will be refused in any case.
        group.cancelAll()
      }
      return change(record, after: CancellationError())
    }
  }

  /// Returns when the lease cannot be renewed any more or the task is cancelled.
  private func keepLease(of record: WorkflowRecord) async {
    while true {
      do {
        try await clock.sleep(configuration.leaseSeconds / 3)
        let until = clock.now().addingTimeInterval(configuration.leaseSeconds)
        try await store.renew(record.id, fence: record.fence, until: until)
      } catch is WorkflowStoreError {
        return
      } catch is CancellationError {
        return
      } catch {
        logger.warning(
          "workflow.renew.failed", metadata: ["workflow.id": "\(record.id)", "error": "\(error)"])
      }
    }
  }

  private func run(_ record: WorkflowRecord) async throws -> WorkflowChange {
    guard let entry = catalog.entries[record.kind] else { return change(record, after: CancellationError()) }
    let context = WorkflowContext(
      id: record.id, tenant: record.tenant, step: record.step, now: clock.now(), attempts: record.attempts,
      cancelRequested: record.cancelRequested, problem: record.problem, faults: faults)
    do {
      let (state, outcome) = try await FaultPoints.$step.withValue("\(record.kind).\(record.step)") {
        try await entry.run(record.step, record.state, context)
      }
      return change(record, state: state, outcome: outcome)
    } catch let abandoned as FaultPoints.Abandoned {
      throw abandoned
    } catch {
      return change(record, after: error)
    }
  }

  private func change(_ record: WorkflowRecord, state: String, outcome: StepOutcome) -> WorkflowChange {
    let now = clock.now()
    var change = WorkflowChange(
      step: record.step, state: state, attempts: 0, wakeAt: now, outcome: nil, problem: nil)
    let failing = catalog.entries[record.kind]?.onFailure
    // Once the clean-up step was entered, the first problem is the one to be told.
    if record.isCleaningUp(failing) { change.problem = record.problem }
    switch outcome {
    case .next(let step): change.step = step
    case .snooze(let until): change.wakeAt = until
    case .done: change.outcome = .done
    case .cancelled: change.outcome = .cancelled
    case .failed(let problem):
      change.problem = change.problem ?? problem
      if let failing, !record.isCleaningUp(failing) {
        change.step = failing
      } else {
        change.outcome = .failed
      }
    }
    return change
  }

  /// A step that threw: again after a while, or failed for good. The state from before the step is kept.
  private func change(_ record: WorkflowRecord, after error: any Error) -> WorkflowChange {
    let retry = catalog.entries[record.kind]?.retry[record.step] ?? .standard
    let failures = record.attempts + 1
    if let permanent = (error as? any PermanentFailure)?.workflowProblem, retry.attempts != nil {
      return change(record, state: record.state, outcome: .failed(permanent))
    }
    let problem = WorkflowProblem(
      code: "step_failed", detail: "Step \(record.step) of \(record.kind) failed \(failures) times; last: \(error)",
      remedy: "Mend the cause and start it again.")
    if let attempts = retry.attempts, failures >= attempts {
      return change(record, state: record.state, outcome: .failed(problem))
    }
    logger.warning(
      "workflow.step.failed",
      metadata: [
        "workflow.id": "\(record.id)", "step": "\(record.kind).\(record.step)", "attempt": "\(failures)",
        "error": "\(error)"
      ])
    let delay = retry.delay(after: failures, random: random())
    let cleaningUp = record.isCleaningUp(catalog.entries[record.kind]?.onFailure)
    return WorkflowChange(
      step: record.step, state: record.state, attempts: failures, wakeAt: clock.now().addingTimeInterval(delay),
      outcome: nil, problem: cleaningUp ? record.problem : problem)
  }
}

extension FinishedStep {
  fileprivate init(_ record: WorkflowRecord, _ change: WorkflowChange) {
    let isAgain = change.outcome == nil && change.step == record.step
    let hasFailed = change.attempts > 0 || change.outcome == .failed
    self.init(kind: record.kind, step: record.step, result: hasFailed ? .failed : isAgain ? .waiting : .done)
  }
}

extension WorkflowRecord {
  fileprivate func isCleaningUp(_ failing: String?) -> Bool { failing == step && problem != nil }
}
