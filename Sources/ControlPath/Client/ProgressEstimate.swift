public import Wire

/// Speed and time left of a sync, from the progress it reports.
///
/// Speed is an exponentially weighted mean of the bytes settled (time constant 60 s, shorter while young), so that one
/// slow second does not turn an hour into a day.
public struct ProgressEstimate: Sendable {
  private var last: (at: Double, done: UInt64)?
  private var began: Double?
  /// Bytes a second; nil until two reports were seen.
  public private(set) var speed: Double?

  public init() {}

  /// - Parameter now: seconds of any steady clock.
  public mutating func add(_ progress: SyncProgress, now: Double) {
    defer { last = (now, progress.doneBytes) }
    guard let last, now > last.at else {
      began = began ?? now
      return
    }
    let done = progress.doneBytes > last.done ? progress.doneBytes - last.done : 0
    let rate = Double(done) / (now - last.at)
    let age = min(60, max(1, now - (began ?? now)))
    let weight = min(1, (now - last.at) / age)
    speed = speed.map { $0 + (rate - $0) * weight } ?? rate
  }

  /// Seconds until everything known is sent; nil while that would be a guess.
  public func remaining(_ progress: SyncProgress) -> Double? {
    guard let speed, speed > 1, progress.usedBytes > 0, progress.doneBytes * 100 >= progress.usedBytes else {
      return nil
    }
    let left = progress.usedBytes > progress.doneBytes ? progress.usedBytes - progress.doneBytes : 0
    return Double(left + progress.dirtyBytes) / speed
  }

  /// 0...100, of used bytes. 100 only when all is settled.
  public static func percent(_ progress: SyncProgress) -> Int {
    guard progress.usedBytes > 0 else { return 0 }
    return Int(min(progress.doneBytes, progress.usedBytes) * 100 / progress.usedBytes)
  }
}
