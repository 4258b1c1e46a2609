public import Foundation

/// A workflow as it is stored: which step comes next, with which state, when, and who works on it.
public struct WorkflowRecord: Hashable, Sendable {
  public enum Outcome: String, Codable, Hashable, Sendable { case done, cancelled, failed }

  /// Chosen by the creator; the key under which creating it twice creates it once.
  public var id: String
  public var kind: String
  public var tenant: String
  /// The step that runs next, or that ran last once there is an outcome.
  public var step: String
  /// The state of its kind, as JSON.
  public var state: String
  /// Failed attempts of this step since it last made progress.
  public var attempts: Int
  /// Not before this instant.
  public var wakeAt: Date
  /// Counts leases; only the holder of the highest number may commit.
  public var fence: Int64
  public var lease: WorkflowLease?
  /// Counts wake-ups, so that one that arrives while a step runs is not lost.
  public var signals: Int64
  public var cancelRequested: Bool
  /// nil while it goes on.
  public var outcome: Outcome?
  /// Why it failed, or why the last attempt did.
  public var problem: WorkflowProblem?
  public var createdAt: Date
  public var updatedAt: Date

  public init(
    id: String, kind: String, tenant: String, step: String, state: String, attempts: Int = 0, wakeAt: Date,
    fence: Int64 = 0, lease: WorkflowLease? = nil, signals: Int64 = 0, cancelRequested: Bool = false,
    outcome: Outcome? = nil, problem: WorkflowProblem? = nil, createdAt: Date, updatedAt: Date
  ) {
    (self.id, self.kind, self.tenant, self.step, self.state) = (id, kind, tenant, step, state)
    (self.attempts, self.wakeAt, self.fence, self.lease) = (attempts, wakeAt, fence, lease)
    (self.signals, self.cancelRequested) = (signals, cancelRequested)
    (self.outcome, self.problem, self.createdAt, self.updatedAt) = (outcome, problem, createdAt, updatedAt)
  }
}

/// The right to run the next step, for a while.
public struct WorkflowLease: Hashable, Sendable {
  public var owner: String
  public var until: Date
  public init(owner: String, until: Date) { (self.owner, self.until) = (owner, until) }
}

/// Why a workflow failed: a stable word, what happened, and what to do.
public struct WorkflowProblem: Codable, Hashable, Sendable, Error, CustomStringConvertible {
  public var code: String
  public var detail: String
  public var remedy: String
  public init(code: String, detail: String, remedy: String) {
    (self.code, self.detail, self.remedy) = (code, detail, remedy)
  }
  public var description: String { "\(detail) (\(code)) \(remedy)" }
}

/// What one step leaves behind, committed in one transaction.
public struct WorkflowChange: Hashable, Sendable {
  public var step: String
  public var state: String
  public var attempts: Int
  public var wakeAt: Date
  public var outcome: WorkflowRecord.Outcome?
  public var problem: WorkflowProblem?
  public init(
    step: String, state: String, attempts: Int, wakeAt: Date, outcome: WorkflowRecord.Outcome?,
    problem: WorkflowProblem?
  ) {
    (self.step, self.state, self.attempts, self.wakeAt) = (step, state, attempts, wakeAt)
    (self.outcome, self.problem) = (outcome, problem)
  }
}
