import Foundation

/// The kinds of workflow that a process can run, with their state types erased.
public struct WorkflowCatalog: Sendable {
  struct Entry: Sendable {
    var first: String
    var onFailure: String?
    var retry: [String: RetryPolicy]
    /// Runs a step on encoded state.
    var run: @Sendable (_ step: String, _ state: String, WorkflowContext) async throws -> (String, StepOutcome)
  }

  private(set) var entries: [String: Entry] = [:]

  public init() {}

  public var kinds: [String] { entries.keys.sorted() }

  public mutating func add<State: Codable & Sendable>(_ workflow: Workflow<State>) {
    entries[workflow.kind] = Entry(
      first: workflow.first, onFailure: workflow.onFailure, retry: workflow.steps.mapValues(\.retry)
    ) { step, state, context in
      guard let found = workflow.steps[step] else {
        throw WorkflowProblem(
          code: "unknown_step",
          detail: "The workflow \(context.id) of kind \(workflow.kind) stands at step \(step), "
            + "which this version does not have.", remedy: "Run the version that created it, or a newer one.")
      }
      var decoded = try JSONDecoder().decode(State.self, from: Data(state.utf8))
      let outcome = try await found.body(&decoded, context)
      return (try Workflows.encode(decoded), outcome)
    }
  }

  /// Encodes a state as stores keep it.
  public static func encode(_ state: some Encodable) throws -> String { try Workflows.encode(state) }
}

/// JSON with sorted keys: equal states are equal texts.
func encode(_ state: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .sortedKeys
  return String(decoding: try encoder.encode(state), as: UTF8.self)
}
