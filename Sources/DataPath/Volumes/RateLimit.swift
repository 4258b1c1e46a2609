internal import Glibc
internal import Synchronization

/// Lets bytes through at a rate: each request waits until the ones before it are paid for. Nothing is saved up, so a
/// pause earns no burst.
public final class RateLimit: Sendable {
  private struct State {
    var bytesPerSecond: UInt64?
    /// When everything that was let through is paid for.
    var paid: ContinuousClock.Instant?
  }

  private let state: Mutex<State>
  private let now: @Sendable () -> ContinuousClock.Instant
  private let sleep: @Sendable (Duration) -> Void

  /// - Parameter bytesPerSecond: nil for no limit.
  /// - Parameter now: the clock.
  /// - Parameter sleep: blocks the calling thread.
  public init(
    bytesPerSecond: UInt64?, now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
    sleep: @escaping @Sendable (Duration) -> Void = RateLimit.block
  ) {
    state = Mutex(State(bytesPerSecond: bytesPerSecond))
    (self.now, self.sleep) = (now, sleep)
  }

  /// The rate from now on; nil for no limit.
  public func set(bytesPerSecond: UInt64?) { state.withLock { $0.bytesPerSecond = bytesPerSecond } }

  /// Blocks until `count` bytes may pass.
  public func wait(for count: Int) {
    let pause: Duration? = state.withLock { state in
      guard let rate = state.bytesPerSecond, rate > 0 else { return nil }
      let now = now()
      let start = max(now, state.paid ?? now)
      state.paid = start + .seconds(Double(count) / Double(rate))
      return start - now
    }
    if let pause, pause > .zero { sleep(pause) }
  }

  /// Blocks the calling thread for `duration`.
  public static func block(_ duration: Duration) {
    let parts = duration.components
    var wanted = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    var left = timespec()
    while nanosleep(&wanted, &left) != 0 && errno == EINTR { wanted = left }
  }
}
