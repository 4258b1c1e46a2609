import Synchronization

/// Which parts still have to say that they run.
final class Readiness: Sendable {
  private struct State {
    var missing: Set<String>
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Mutex<State>

  init(of parts: Set<String>) { state = Mutex(State(missing: parts)) }

  func mark(_ part: String) {
    let woken = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.missing.remove(part)
      guard state.missing.isEmpty else { return [] }
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in woken { continuation.resume() }
  }

  /// Returns once all parts run.
  func wait() async {
    await withCheckedContinuation { continuation in
      let now = state.withLock { state in
        if !state.missing.isEmpty { state.waiting.append(continuation) }
        return state.missing.isEmpty
      }
      if now { continuation.resume() }
    }
  }
}
