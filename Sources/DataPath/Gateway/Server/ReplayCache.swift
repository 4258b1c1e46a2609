import Synchronization
import Wire

/// Remembers which proofs were used, for at least as long as they could be used again. Two generations, each as long as
/// a proof can live, so that old entries go at once and memory stays bounded.
final class ReplayCache: Sendable {
  private struct State {
    var current: Set<String> = []
    var previous: Set<String> = []
    var began: Int
  }

  /// Seconds from a proof's earliest to its latest use.
  private static let life = 2 * KeyProof.window

  private let limit: Int
  private let state: Mutex<State>

  /// - Parameter limit: most proofs remembered for each generation.
  init(now: Int, limit: Int = 1 << 20) {
    self.limit = limit
    state = Mutex(State(began: now))
  }

  enum Verdict: Hashable { case first, used, full }

  /// Notes the use of a proof.
  func use(_ jti: String, of thumbprint: String, now: Int) -> Verdict {
    let name = "\(thumbprint) \(jti)"
    return state.withLock { state in
      if now - state.began >= 2 * Self.life {
        (state.current, state.previous, state.began) = ([], [], now)
      } else if now - state.began >= Self.life {
        (state.previous, state.current, state.began) = (state.current, [], now)
      }
      if state.previous.contains(name) { return .used }
      guard state.current.count < limit else { return .full }
      return state.current.insert(name).inserted ? .first : .used
    }
  }
}
