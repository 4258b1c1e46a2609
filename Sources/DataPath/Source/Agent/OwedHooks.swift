import Glibc

/// The owner's hooks around an instant, with a note of what is owed: where the agent dies between the hooks before and
/// those after, its next life runs the ones after.
struct OwedHooks: Sendable {
  private let hooks: Hooks
  private let note: String

  init(places: AgentPlaces) { (hooks, note) = (Hooks(folder: places.hooks), places.owedHooks) }

  /// Runs what brings applications to rest. Whether there was anything.
  /// - Throws: `SyncFailure` where one fails; then the hooks after the instant have run.
  func runPre(switching: Bool) throws -> Bool {
    if !hooks.names(for: .post).isEmpty { try PrivateFile.write([], to: note) }
    let outcomes = switching ? hooks.run(.preSwitch) : []
    let failed = outcomes.first { !$0.succeeded }
    let more = failed == nil ? hooks.run(.pre) : []
    guard let failed = failed ?? more.first(where: { !$0.succeeded }) else {
      // A clean stop before the switch brings to rest as well as a hook of every point.
      return !(outcomes + more).isEmpty
    }
    runPost()
    throw SyncFailure(
      code: "hook_failed",
      message: "the hook \(failed.name) \(failed.ending); repair it or remove it (what it printed is in the report)",
      output: failed.output)
  }

  /// Runs what wakes the applications again.
  func runPost() {
    _ = hooks.run(.post)
    try? PrivateFile.remove(note)
  }

  /// Runs what an earlier life of the agent still owed; says whether there was anything.
  func runOwed() -> Bool {
    guard access(note, F_OK) == 0 else { return false }
    runPost()
    return true
  }
}

extension Hooks.Outcome {
  fileprivate var ending: String {
    guard let status else { return "ran out of time and was ended" }
    return status >= 128 ? "was ended by signal \(status - 128)" : "failed with status \(status)"
  }
}
