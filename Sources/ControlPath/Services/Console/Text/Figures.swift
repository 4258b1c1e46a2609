import FoundationEssentials

/// Numbers, sizes and instants as people read them in one language.
struct Figures: Sendable {
  let language: Language

  /// `61.2 MB`: decimal units, as networks and disks are sold.
  func bytes(_ count: UInt64) -> String {
    var (value, unit) = (Double(count), 0)
    let units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
    return "\(unit == 0 || value >= 100 ? String(Int(value.rounded())) : Self.tenths(value)) \(units[unit])"
  }

  func rate(_ bytesPerSecond: Double) -> String { bytes(UInt64(max(0, bytesPerSecond))) + "/s" }

  /// `50 s`, `3 min`, `2 h 10 min`.
  func duration(_ seconds: Double) -> String {
    let whole = Int(max(0, min(seconds, 1e9)).rounded())
    let (s, m, h) = language == .english ? ("s", "min", "h") : ("秒", "分钟", "小时")
    if whole < 90 { return "\(whole) \(s)" }
    if whole < 5400 { return "\((whole + 30) / 60) \(m)" }
    return "\(whole / 3600) \(h) \(whole % 3600 / 60) \(m)"
  }

  /// A range above 2 h is told as one: nobody knows better.
  func remaining(low: Double, high: Double) -> String {
    high > 7200 && high > low * 1.2 ? "\(duration(low)) – \(duration(high))" : duration(high)
  }

  /// For a `<time>`: what machines read, and what people do until their browser shows it in their own zone.
  func instant(_ seconds: Int) -> [String: String] {
    let iso = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    return ["iso": iso, "text": iso.prefix(16).replacing("T", with: " ") + " UTC"]
  }

  private static func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
