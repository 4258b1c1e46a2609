public import Foundation

/// A kind of workflow: named steps over a state. A step may have side effects, each idempotent by a key found in the
/// state: after a crash the same step runs again from the state before it. What it answers, and the state, are
/// committed after it ran.
public struct Workflow<State: Codable & Sendable>: Sendable {
  public typealias Body = @Sendable (inout State, WorkflowContext) async throws -> StepOutcome

  struct Step: Sendable {
    var retry: RetryPolicy
    var body: Body
  }

  public let kind: String
  /// The step of a new workflow.
  public let first: String
  /// The step that cleans up when another one fails for good; its problem is in the context.
  public let onFailure: String?
  private(set) var steps: [String: Step] = [:]

  public init(kind: String, first: String, onFailure: String? = nil) {
    (self.kind, self.first, self.onFailure) = (kind, first, onFailure)
  }

  /// The same workflow with one more step. A second step of one name replaces the first.
  public func step(_ name: String, retry: RetryPolicy = .standard, _ body: @escaping Body) -> Self {
    var copy = self
    copy.steps[name] = Step(retry: retry, body: body)
    return copy
  }
}

/// What a step answers.
public enum StepOutcome: Hashable, Sendable {
  /// Go on with this step at once.
  case next(String)
  /// The same step again, not before this instant, or when woken. Counts as progress.
  case snooze(until: Date)
  case done
  case cancelled
  /// Goes to the kind's `onFailure` step, if there is one that has not run yet, else ends.
  case failed(WorkflowProblem)
}

/// What a step may know besides its state.
public struct WorkflowContext: Sendable {
  public var id: String
  public var tenant: String
  public var step: String
  public var now: Date
  /// Failed attempts of this step so far.
  public var attempts: Int
  public var cancelRequested: Bool
  /// Why the workflow failed, in its `onFailure` step and after.
  public var problem: WorkflowProblem?
  public var faults: FaultPoints

  /// The answer that lets the step run again after a while.
  public func again(in seconds: Double) -> StepOutcome { .snooze(until: now.addingTimeInterval(seconds)) }
}

/// How often and how soon a step that threw is tried again: exponential back-off with full jitter over its upper half.
public struct RetryPolicy: Hashable, Sendable {
  /// Attempts in all; nil means for ever.
  public var attempts: Int?
  /// Seconds before the second attempt, and at most.
  public var base: Double
  public var cap: Double
  public init(attempts: Int?, base: Double, cap: Double) {
    (self.attempts, self.base, self.cap) = (attempts, base, cap)
  }
  /// About five minutes in all.
  public static let standard = RetryPolicy(attempts: 14, base: 0.5, cap: 30)
  /// For clean-up and for what must not be given up half way.
  public static let forever = RetryPolicy(attempts: nil, base: 0.5, cap: 60)

  /// Seconds to wait after `failures` failures; `random` is in 0..<1.
  public func delay(after failures: Int, random: Double) -> Double {
    let full = min(cap, base * Double(1 << min(failures - 1, 30)))
    return full * (0.5 + 0.5 * random)
  }
}

/// An error that another attempt would not mend: the workflow fails with its problem at once.
public protocol PermanentFailure: Error {
  /// nil where this very error may pass after all.
  var workflowProblem: WorkflowProblem? { get }
}

extension WorkflowProblem: PermanentFailure {
  public var workflowProblem: WorkflowProblem? { self }
}
