/// A budget that fills at a rate and may be overdrawn; who overdraws it waits until it is level again.
struct TokenBucket: Sendable {
  /// Units a second; nil is no limit.
  var rate: Double?
  /// Units that may be saved up.
  let burst: Double
  /// Seconds; who still overdraws then waits again.
  private static let longestWait = 600.0
  private var level: Double
  private var filled: ContinuousClock.Instant

  init(rate: Double?, burst: Double, now: ContinuousClock.Instant) {
    (self.rate, self.burst, level, filled) = (rate, burst, burst, now)
  }

  /// Spends `amount` and says how long to wait before going on.
  mutating func spend(_ amount: Double, now: ContinuousClock.Instant) -> Duration {
    guard let rate, rate > 0 else { return .zero }
    let seconds = (now - filled) / .seconds(1)
    level = min(burst, level + seconds * rate) - amount
    filled = now
    return level >= 0 ? .zero : .seconds(min(-level / rate, Self.longestWait))
  }
}
