public import Foundation

/// Where workflows are kept. Several processes may work on one store at the same time. Time is always a parameter: a
/// store has no clock.
///
/// What every store promises (checked by `WorkflowStoreRules`):
/// - **Created once.** Inserting an id that exists changes nothing and answers with what is there.
/// - **One worker at a time.** `claim` gives a workflow to one caller only, until its lease ends or is committed, and
///   raises its `fence`. Two concurrent claims never answer with the same workflow.
/// - **Fenced.** `commit` and `renew` with a fence that is not the newest throw `WorkflowStoreError.leaseLost` and change
///   nothing: a worker that slept through its lease cannot undo what its successor did.
/// - **All or nothing.** A commit that returned is durable, state, step and wake time together; one that threw
///   `leaseLost` left no trace.
/// - **No lost wake-up.** A `wake` that arrives while a step runs makes the workflow due again as soon as the step is
///   committed, whatever wake time the step asked for.
/// - **Ended is ended.** A workflow with an outcome is never claimed, woken or cancelled again.
public protocol WorkflowStore: Sendable {
  /// Creates a workflow, or answers with the one that has this id.
  func insert(_ record: WorkflowRecord) async throws -> WorkflowRecord
  func workflow(_ id: String) async throws -> WorkflowRecord?
  /// The workflow of one of `kinds` that has been due longest and that nobody holds, leased to `owner` until `until`.
  func claim(kinds: [String], owner: String, now: Date, until: Date) async throws -> WorkflowRecord?
  /// Lengthens a lease.
  func renew(_ id: String, fence: Int64, until: Date) async throws
  /// Stores what a step left and ends the lease. `seen` is the `signals` of the claim: where more have come since, the
  /// workflow is due at `now`.
  func commit(_ id: String, fence: Int64, seen signals: Int64, _ change: WorkflowChange, now: Date) async throws
  /// Makes a workflow due at once. Does nothing for one that ended or does not exist.
  func wake(_ id: String, now: Date) async throws
  /// Asks a workflow to end; it sees `cancelRequested` at its next step. Wakes it.
  func requestCancel(_ id: String, now: Date) async throws
  /// Workflows that have not ended, oldest first.
  func unfinished(kinds: [String]) async throws -> [WorkflowRecord]
  /// Forgets workflows that ended before an instant; answers how many.
  func removeEnded(before: Date) async throws -> Int
}

public enum WorkflowStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Someone else took the workflow over, or it ended.
  case leaseLost(workflow: String, fence: Int64)

  public var description: String {
    switch self {
    case .leaseLost(let workflow, let fence):
      "The lease number \(fence) of workflow \(workflow) is no longer the newest: another worker took it over. "
        + "Nothing was stored; nothing needs to be done."
    }
  }
}
