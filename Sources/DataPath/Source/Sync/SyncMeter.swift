import Synchronization
import Wire

/// Where a sync's time goes, how fast its source changes and how fast it is sent: the forecast, and the reason where the
/// source never gets quiet.
final class SyncMeter: Sendable {
  /// What a frame waits for; pauses for a budget belong to what the budget is of.
  enum Stage: CaseIterable {
    case read, cpu, link, target

    var description: String {
      switch self {
      case .read: "reading the source's disks"
      case .cpu: "hashing and compressing (CPU)"
      case .link: "the link to the gateway"
      case .target: "writing at the gateway"
      }
    }

    var help: String {
      switch self {
      case .read: "raise the budget for reading"
      case .cpu: "raise the budget for CPU"
      case .link: "raise the budget of the link, or use a faster one"
      case .target: "give the gateway faster volumes"
      }
    }
  }

  private struct State {
    /// Seconds, over all frames.
    var spent: [Stage: Double] = [:]
    /// Bytes carried since the window began, and when the last were.
    var window: (began: ContinuousClock.Instant, last: ContinuousClock.Instant, bytes: UInt64)?
    var lastTake: ContinuousClock.Instant?
    /// Bytes a second.
    var sendRate: Double?
    var writeRate: Double?
  }

  private static let shortestWindow = 1.0
  private static let longestPause = 2.0
  private let state = Mutex(State())

  /// Counts the time of `body` for a stage.
  func measure<Value>(_ stage: Stage, _ body: () async throws -> Value) async rethrows -> Value {
    let start = ContinuousClock.now
    defer { add(.now - start, to: stage) }
    return try await body()
  }

  func add(_ duration: Duration, to stage: Stage) {
    state.withLock { $0.spent[stage, default: 0] += duration / .seconds(1) }
  }

  /// A frame is acknowledged or was found equal.
  func carried(_ bytes: UInt64, now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      guard var window = state.window, (now - window.last) / .seconds(1) < Self.longestPause else {
        state.window = (now, now, 0)
        return
      }
      (window.last, window.bytes) = (now, window.bytes + bytes)
      let seconds = (now - window.began) / .seconds(1)
      if seconds >= Self.shortestWindow {
        state.sendRate = Self.blend(state.sendRate, Double(window.bytes) / seconds)
        window = (now, now, 0)
      }
      state.window = window
    }
  }

  /// So much had changed since the take before.
  func taken(_ bytes: UInt64, now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      defer { state.lastTake = now }
      guard let last = state.lastTake else { return }
      let seconds = (now - last) / .seconds(1)
      if seconds > 0 { state.writeRate = Self.blend(state.writeRate, Double(bytes) / seconds) }
    }
  }

  private static func blend(_ old: Double?, _ new: Double) -> Double { old.map { $0 * 0.6 + new * 0.4 } ?? new }

  /// How long `bytes` will take; nil before anything was sent for a while.
  func forecast(_ bytes: UInt64) -> SyncProgress.Forecast? {
    let state = state.withLock { $0 }
    guard let send = state.sendRate, send >= 1 else { return nil }
    let low = Double(bytes) / send
    var high: Double? = low * 2
    if let write = state.writeRate {
      // What is written meanwhile has to be sent as well; near the send rate nobody can say.
      high = write < send * 0.9 ? Double(bytes) / (send - write) * 1.25 : nil
    }
    return SyncProgress.Forecast(
      lowSeconds: low, highSeconds: high, sendRate: send, writeRate: state.writeRate)
  }

  /// Why a source never got quiet, and what helps.
  func failure(rounds: Int, instantBytes: UInt64) -> SyncFailure {
    let state = state.withLock { $0 }
    let slowest = Stage.allCases.max { state.spent[$0, default: 0] < state.spent[$1, default: 0] } ?? .link
    let rates =
      state.writeRate.map { write in
        "it writes \(Self.megabytes(write)) MB/s"
          + (state.sendRate.map { ", and \(Self.megabytes($0)) MB/s are sent" } ?? "")
      } ?? "its instants took too long"
    return SyncFailure(
      code: "not_converging",
      message: "the source does not get quiet enough for a consistent instant: after \(rounds) rounds \(rates); an "
        + "instant holds \(instantBytes >> 20) MiB. Most of the time goes into \(slowest.description): \(slowest.help), "
        + "allow a larger instant, or sync at a quieter hour")
  }

  /// With one decimal.
  private static func megabytes(_ rate: Double) -> String {
    let tenths = Int((rate / 100_000).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
