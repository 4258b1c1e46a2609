/// Waiting times between attempts: doubling, with jitter, so that a thousand agents do not come back at once.
struct Backoff: Sendable {
  private let first: Double
  private let longest: Double
  private(set) var attempts = 0

  /// Seconds.
  init(first: Double = 0.2, longest: Double = 20) { (self.first, self.longest) = (first, longest) }

  /// The next waiting time: half of it certain, half of it by chance.
  mutating func next(_ generator: inout some RandomNumberGenerator) -> Duration {
    let full = min(longest, first * Double(1 << min(attempts, 20)))
    attempts += 1
    return .seconds(full / 2 + .random(in: 0...full / 2, using: &generator))
  }

  mutating func next() -> Duration {
    var generator = SystemRandomNumberGenerator()
    return next(&generator)
  }

  /// For one of several that fail side by side: how long it lasts already counts, not how often it was met. So a line
  /// that comes back is noticed in as long again as it was gone.
  static func pause(after lasting: Duration, first: Double = 0.2, longest: Double = 20) -> Duration {
    let full = min(longest, max(first, lasting / .seconds(1)))
    return .seconds(full / 2 + .random(in: 0...full / 2))
  }

  mutating func reset() { attempts = 0 }
}
