import Glibc
import Synchronization
import Wire

/// Keeps a sync within the budgets of its source: link, read rate, share of a CPU, and the machine's own disk latency.
final class Pace: Sendable {
  private struct State {
    var link: TokenBucket
    var read: TokenBucket
    var cpu: TokenBucket
    var cpuSeconds: Double
    var latencies: [DiskLatency]
    var sampled: ContinuousClock.Instant
    /// Between two reads, because the disk is slow for its owner; and when the next may begin.
    var pause: Duration = .zero
    var next: ContinuousClock.Instant
  }

  private static let shortest = Duration.milliseconds(10)
  private static let longest = Duration.milliseconds(1280)

  /// Milliseconds.
  private let latency: Double?
  private let state: Mutex<State>

  init(limits: SyncCommand.Limits, disks: [String], now: ContinuousClock.Instant = .now) {
    latency = limits.latency
    // Not `map(Double.init)`: that may pick `init(bitPattern:)`.
    let (link, read) = (limits.link.map { Double($0) }, limits.read.map { Double($0) })
    state = Mutex(
      State(
        link: TokenBucket(rate: link, burst: (link ?? 0) / 4, now: now),
        read: TokenBucket(rate: read, burst: (read ?? 0) / 4, now: now),
        cpu: TokenBucket(rate: limits.cpu, burst: 0.25, now: now), cpuSeconds: Self.cpuSeconds(),
        latencies: disks.map(DiskLatency.init), sampled: now, next: now))
  }

  /// Waits until `bytes` may be read.
  func beforeRead(_ bytes: UInt64) async throws {
    let wait = state.withLock { state in
      let now = ContinuousClock.now
      let cpu = Self.cpuSeconds()
      defer { state.cpuSeconds = cpu }
      sampleLatency(&state, now: now)
      // One after the other, however many frames are under way.
      let turn = state.pause > .zero ? max(now, state.next) + state.pause : now
      state.next = turn
      return max(
        state.read.spend(Double(bytes), now: now), state.cpu.spend(cpu - state.cpuSeconds, now: now), turn - now)
    }
    if wait > .zero { try await Task.sleep(for: wait) }
  }

  /// Waits until `bytes` may be put on the wire.
  func beforeSend(_ bytes: Int) async throws {
    let wait = state.withLock { $0.link.spend(Double(bytes), now: .now) }
    if wait > .zero { try await Task.sleep(for: wait) }
  }

  private func sampleLatency(_ state: inout State, now: ContinuousClock.Instant) {
    guard let latency, now - state.sampled >= .milliseconds(250) else { return }
    state.sampled = now
    var worst: Double?
    for index in state.latencies.indices {
      if let sample = state.latencies[index].sample() { worst = max(worst ?? 0, sample) }
    }
    state.pause = Self.pause(after: state.pause, worst: worst, limit: latency)
  }

  /// Doubles while the disk is too slow for its owner, halves while it is not.
  static func pause(after pause: Duration, worst: Double?, limit: Double) -> Duration {
    if let worst, worst > limit { return min(longest, max(shortest, pause * 2)) }
    let half = pause / 2
    return half < shortest ? .zero : half
  }

  /// Seconds of CPU that this process used so far.
  private static func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
