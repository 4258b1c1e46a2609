import Glibc
public import Logging

/// One JSON object a line, whatever is logged: control characters are escaped, long values cut, values under a key that
/// sounds like a secret withheld.
///
///     {"ts":"2026-01-02T03:04:05.678Z","level":"info","logger":"clouds","msg":"volume created","volume.id":"vol-1"}
public struct JSONLogHandler: LogHandler {
  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  public var metadataProvider: Logger.MetadataProvider?
  private let label: String
  private let write: @Sendable (String) -> Void

  /// Longest value written, in UTF-8 bytes.
  public static let maximumValue = 8 << 10
  private static let reserved: Set<String> = ["ts", "level", "logger", "msg", "error"]

  /// - Parameter write: takes one line with its newline; standard error by default.
  public init(
    label: String, level: Logger.Level = .info, write: @escaping @Sendable (String) -> Void = StandardError.write
  ) {
    (self.label, logLevel, self.write) = (label, level, write)
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
    if let own = event.metadata { fields.merge(own) { $1 } }
    var line = "{"
    Self.append("ts", Self.now(), to: &line)
    Self.append("level", event.level.rawValue, to: &line)
    Self.append("logger", label, to: &line)
    Self.append("msg", event.message.description, to: &line)
    if let error = event.error { Self.append("error", String(describing: error), to: &line) }
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
      if key == "error", event.error == nil {
        Self.append(key, Self.text(value), to: &line)
        continue
      }
      Self.append(Self.reserved.contains(key) ? "_" + key : key, Self.shown(key, value), to: &line)
    }
    line += "}\n"
    write(line)
  }

  private static func shown(_ key: String, _ value: Logger.Metadata.Value) -> String {
    let lowered = key.lowercased()
    let secret = ["token", "secret", "password", "authorization"].contains { lowered.hasSuffix($0) }
    return secret ? "[withheld]" : text(value)
  }

  private static func text(_ value: Logger.Metadata.Value) -> String {
    switch value {
    case .string(let string): string
    case .stringConvertible(let value): value.description
    case .array(let values): "[" + values.map(text).joined(separator: ", ") + "]"
    case .dictionary(let values):
      "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \(shown($0.key, $0.value))" }.joined(separator: ", ")
        + "}"
    }
  }

  private static func append(_ key: String, _ value: String, to line: inout String) {
    if line.utf8.count > 1 { line += "," }
    quote(key, into: &line)
    line += ":"
    quote(value, into: &line)
  }

  static func quote(_ value: String, into line: inout String) {
    line += "\""
    var written = 0
    for scalar in value.unicodeScalars {
      if written > maximumValue {
        line += "…"
        break
      }
      written += scalar.utf8.count
      switch scalar {
      case "\"": line += "\\\""
      case "\\": line += "\\\\"
      case "\n": line += "\\n"
      case _
      where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028
        || scalar.value == 0x2029:
        let hex = String(scalar.value, radix: 16)
        line += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: line.unicodeScalars.append(scalar)
      }
    }
    line += "\""
  }

  static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    gmtime_r(&time.tv_sec, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = "\(Int(parts.tm_year) + 1900)-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
    let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
    return "\(date)T\(clock).\(padded(time.tv_nsec / 1_000_000, 3))Z"
  }
}
