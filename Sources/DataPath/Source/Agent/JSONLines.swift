import FoundationEssentials
import Glibc
public import Logging
import Synchronization

/// Log lines as JSON objects on standard error, and a way to hold them back while a write could block for ever.
public struct JSONLines: LogHandler {
  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level = .info
  private let label: String

  public init(label: String) { self.label = label }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var fields = metadata.merging(event.metadata ?? [:]) { $1 }
    if let error = event.error { fields["error"] = "\(error)" }
    Gate.shared.write(
      Self.line(
        at: Date(), level: event.level.rawValue, label: label, message: event.message.description,
        fields: fields.mapValues { "\($0)" }))
  }

  static func line(
    at time: Date, level: String, label: String, message: String, fields: [String: String]
  ) -> [UInt8] {
    var text = "{\"time\":\(quoted(time.formatted(.iso8601))),\"level\":\(quoted(level))"
    text += ",\"logger\":\(quoted(label)),\"message\":\(quoted(message))"
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
      text += ",\(quoted(key)):\(quoted(value))"
    }
    return Array((text + "}\n").utf8)
  }

  /// A JSON string: quotes, backslashes and control characters escaped.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// While true, lines are kept in memory (the first 256 of them), because whoever reads our standard error may be
  /// waiting for a filesystem that waits for us.
  public static func hold(_ on: Bool) { Gate.shared.hold(on) }

  private final class Gate: Sendable {
    static let shared = Gate()
    private let held = Mutex<[[UInt8]]?>(nil)

    func write(_ line: [UInt8]) {
      let isHeld = held.withLock { held in
        guard held != nil else { return false }
        if held?.count ?? 0 < 256 { held?.append(line) }
        return true
      }
      if !isHeld { _ = Glibc.write(STDERR_FILENO, line, line.count) }
    }

    func hold(_ on: Bool) {
      let lines = held.withLock { held -> [[UInt8]] in
        let lines = on ? [] : held ?? []
        held = on ? held ?? [] : nil
        return lines
      }
      for line in lines { _ = Glibc.write(STDERR_FILENO, line, line.count) }
    }
  }
}
