import Client
import Wire

/// How a sync goes, over time: from single reports to speed, time left and standstill.
struct ProgressMemory: Sendable {
  /// Seconds without an acknowledged byte after which a copy is said to stand still.
  static let patience = 60.0
  /// Seconds in which nobody can say how long it will take.
  static let modesty = 30.0

  private var estimate = ProgressEstimate()
  private var began: Double?
  private var moved: (at: Double, bytes: UInt64)?

  /// - Parameters:
  ///   - now: seconds of a steady clock.
  ///   - peak: the most that was ever shown of a sync.
  mutating func take(_ sync: MigrationAPI.Sync, now: Double, peak: (String, Double) -> Double) -> [String: LiveValue] {
    var values: [String: LiveValue] = ["sync": .text(sync.id), "phase": .text(Self.phase(sync))]
    guard let progress = sync.progress else { return values }
    began = began ?? now
    estimate.add(progress, now: now)
    let bytes = progress.doneBytes + progress.wireBytes
    if moved == nil || bytes != moved?.bytes { moved = (now, bytes) }
    let percent = peak(sync.id, Self.percent(progress))
    values["percent"] = .number((percent * 10).rounded() / 10)
    values["done"] = .number(Double(progress.doneBytes))
    values["used"] = .number(Double(max(progress.usedBytes, progress.doneBytes)))
    values["wire"] = .number(Double(progress.wireBytes))
    values["dirty"] = .number(Double(progress.dirtyBytes))
    if let speed = estimate.speed { values["speed"] = .number(speed.rounded()) }
    if let (low, high) = remaining(progress, now: now) {
      values["remaining"] = .number(high.rounded())
      values["remaining_low"] = .number(low.rounded())
    }
    if let forecast = progress.forecast, forecast.highSeconds == nil { values["diverging"] = .number(1) }
    if let moved, ["copying", "catchingUp"].contains(progress.phase), now - moved.at >= Self.patience {
      values["stalled"] = .number((now - moved.at).rounded())
    }
    return values
  }

  private func remaining(_ progress: SyncProgress, now: Double) -> (low: Double, high: Double)? {
    guard let began, now - began >= Self.modesty || Self.percent(progress) >= 1 else { return nil }
    if let forecast = progress.forecast, let high = forecast.highSeconds { return (forecast.lowSeconds, high) }
    return estimate.remaining(progress).map { ($0, $0) }
  }

  /// Of the bytes in use; 100 only when all is settled.
  static func percent(_ progress: SyncProgress) -> Double {
    guard progress.usedBytes > 0 else { return 0 }
    let percent = Double(min(progress.doneBytes, progress.usedBytes)) * 100 / Double(progress.usedBytes)
    return progress.doneBytes >= progress.usedBytes ? 100 : min(percent, 99.9)
  }

  /// `preparing, copying, catchingUp, freezing, sealing, snapshot`: what people are shown as the steps of a sync.
  static func phase(_ sync: MigrationAPI.Sync) -> String {
    switch sync.state {
    case .preparing: return "preparing"
    case .sealed, .done: return "snapshot"
    case .running, .failed, .cancelled:
      let phase = sync.progress?.phase ?? "preparing"
      return phase == "tracking" ? "preparing" : phase
    }
  }
}
