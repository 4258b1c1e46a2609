import Synchronization

/// How a fake cloud misbehaves. Rates are shares of requests, 0...1.
public struct Faults: Codable, Hashable, Sendable {
  /// Refused with 503 before any effect.
  public var errorRate = 0.0
  /// Refused with 429 before any effect.
  public var throttleRate = 0.0
  /// The effect takes place, then the connection breaks instead of an answer.
  public var lostAnswerRate = 0.0
  /// Seconds until what was created can be seen (404 until then).
  public var visibilityDelay = 0.0
  /// Seconds until what was created is ready.
  public var createDelay = 0.0
  /// Seconds for which what was deleted is still seen as `deleting`.
  public var deleteDelay = 0.0
  /// So many of the next snapshots end as failed.
  public var failingSnapshots = 0
  /// Of the dice.
  public var seed: UInt64 = 1
  public init() {}
}

/// How often each kind of fault was really injected, for tests to insist on it.
public struct FaultHits: Codable, Hashable, Sendable {
  public var errors = 0
  public var throttles = 0
  public var lostAnswers = 0
  public var snapshots = 0
  public init() {}
}

/// Rolls the dice for each request.
final class FaultInjector: Sendable {
  enum Verdict { case pass, error, throttle, loseAnswer }

  private struct State {
    var settings = Faults()
    var hits = FaultHits()
    var dice: UInt64 = 1
  }
  private let state = Mutex(State())

  var settings: Faults { state.withLock { $0.settings } }
  var hits: FaultHits { state.withLock { $0.hits } }

  func set(_ settings: Faults) {
    state.withLock { $0 = State(settings: settings, hits: FaultHits(), dice: settings.seed) }
  }

  /// Whether the snapshot that is being made ends as failed.
  func failsSnapshot() -> Bool {
    state.withLock { state in
      guard state.hits.snapshots < state.settings.failingSnapshots else { return false }
      state.hits.snapshots += 1
      return true
    }
  }

  func roll() -> Verdict {
    state.withLock { state in
      if Self.next(&state.dice) < state.settings.errorRate {
        state.hits.errors += 1
        return .error
      }
      if Self.next(&state.dice) < state.settings.throttleRate {
        state.hits.throttles += 1
        return .throttle
      }
      if Self.next(&state.dice) < state.settings.lostAnswerRate {
        state.hits.lostAnswers += 1
        return .loseAnswer
      }
      return .pass
    }
  }

  /// SplitMix64, as a number in 0..<1.
  private static func next(_ state: inout UInt64) -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Double((z ^ (z >> 31)) >> 11) / Double(1 << 53)
  }
}
