public import Wire

/// One line for people: `copying  [=========>          ]  47 %  61.2 MB/s  3 min left  12 MB waiting`.
public enum ProgressLine {
  public static func text(_ progress: SyncProgress, _ estimate: ProgressEstimate, width: Int = 24) -> String {
    let percent = ProgressEstimate.percent(progress)
    let filled = percent * width / 100
    let bar = String(repeating: "=", count: filled) + (filled < width ? ">" : "")
    var parts = [
      progress.phase.padded(10), "[" + bar.padded(width) + "]", "\(percent)".padded(3, left: true) + " %",
      estimate.speed.map { bytes($0) + "/s" } ?? ""
    ]
    parts.append(estimate.remaining(progress).map { duration($0) + " left" } ?? "")
    if progress.dirtyBytes > 0 { parts.append(bytes(Double(progress.dirtyBytes)) + " waiting") }
    return parts.filter { !$0.isEmpty }.joined(separator: "  ")
  }

  /// `3 min to 7 min left`, or why nobody can say; nil before the agent can.
  public static func forecast(_ forecast: SyncProgress.Forecast?) -> String? {
    guard let forecast else { return nil }
    if let high = forecast.highSeconds { return "\(duration(forecast.lowSeconds)) to \(duration(high)) left" }
    let written = forecast.writeRate.map { bytes($0) + "/s" } ?? "as much"
    return "does not converge: the source writes \(written) and \(bytes(forecast.sendRate))/s are sent"
  }

  /// `61.2 MB`: decimal units, as networks and disks are sold.
  public static func bytes(_ count: Double) -> String {
    var (value, unit) = (count, 0)
    let units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    if unit == 0 || value >= 100 { return "\(Int(value.rounded())) \(units[unit])" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  /// `50 s`, `3 min`, `2 h 10 min`.
  public static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if whole < 90 { return "\(whole) s" }
    if whole < 5400 { return "\((whole + 30) / 60) min" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

extension String {
  /// Filled up with spaces to `width`; never cut.
  func padded(_ width: Int, left: Bool = false) -> String {
    let fill = String(repeating: " ", count: Swift.max(0, width - count))
    return left ? fill + self : self + fill
  }
}
