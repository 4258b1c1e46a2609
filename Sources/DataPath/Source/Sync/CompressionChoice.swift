import Frames
import Synchronization

/// Decides frame by frame whether to compress: only where the link, not the CPU, is what a frame waits for.
///
/// It keeps running averages of the link's rate, of the compressor's rate and of what compression gains, and tries the
/// other way now and then, because all three change.
final class CompressionChoice: Sendable {
  private struct State {
    /// Bytes a second the link takes while something is on it; nil before the first frame came through.
    var link: Double?
    /// Bytes a second that go into the compressor.
    var compressor: Double?
    /// Bytes after compression by bytes before.
    var ratio = 0.5
    var frames = 0
    var inFlight = 0
    var busySince: ContinuousClock.Instant?
    var bytesWhileBusy = 0.0
  }

  /// Every so many frames one is compressed where it would not be, to learn.
  private static let probe = 64
  private let state = Mutex(State())

  func next() -> FrameEncoder.Compression {
    state.withLock { state in
      state.frames += 1
      guard let link = state.link, let compressor = state.compressor else {
        return state.frames % 4 == 0 ? .zstd(level: 1) : .none
      }
      if state.frames % Self.probe == 0 { return .zstd(level: 1) }
      return Self.gains(link: link, compressor: compressor, ratio: state.ratio) ? .zstd(level: 1) : .none
    }
  }

  /// Whether a byte gets through sooner compressed. Reading, hashing and TLS want the CPU as well, so it must be
  /// sooner by a third.
  static func gains(link: Double, compressor: Double, ratio: Double) -> Bool {
    let plain = 1 / link
    let compressed = 1 / compressor + ratio / link
    return compressed < plain * 2 / 3
  }

  func compressed(raw: Int, encoded: Int, in duration: Duration) {
    guard raw > 0 else { return }
    state.withLock { state in
      let seconds = max(duration / .seconds(1), 1e-6)
      state.compressor = Self.blend(state.compressor, Double(raw) / seconds)
      state.ratio = Self.blend(state.ratio, Double(encoded) / Double(raw))
    }
  }

  func sendBegan(now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      if state.inFlight == 0 { (state.busySince, state.bytesWhileBusy) = (now, 0) }
      state.inFlight += 1
    }
  }

  /// - Parameter bytes: nil where the frame did not get through.
  func sendEnded(bytes: Int?, now: ContinuousClock.Instant = .now) {
    state.withLock { state in
      state.inFlight -= 1
      state.bytesWhileBusy += Double(bytes ?? 0)
      guard let since = state.busySince else { return }
      let seconds = (now - since) / .seconds(1)
      if state.bytesWhileBusy > 0, state.inFlight == 0 || seconds > 0.5 {
        state.link = Self.blend(state.link, state.bytesWhileBusy / max(seconds, 1e-6))
        (state.busySince, state.bytesWhileBusy) = (now, 0)
      }
    }
  }

  private static func blend(_ old: Double?, _ new: Double) -> Double { old.map { $0 * 0.75 + new * 0.25 } ?? new }
}
