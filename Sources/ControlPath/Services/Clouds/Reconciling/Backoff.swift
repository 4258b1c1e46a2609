/// When to try again: doubling with full jitter.
struct Backoff: Sendable {
  /// Seconds of the first wait's upper bound, and of the longest's.
  var base: Double
  var ceiling: Double

  /// Seconds until the next attempt after `attempts` failed ones.
  func delay(after attempts: Int) -> Double {
    let bound = min(ceiling, base * Double(1 << min(attempts, 16)))
    return Double.random(in: bound / 2...bound)
  }
}
