import FoundationEssentials
import Glibc
public import Logging

/// Log lines as one JSON object each, on standard error: whatever a message or a value holds, it stays one line.
public struct JSONLineLogHandler: LogHandler {
  private struct Line: Encodable {
    var ts: Double
    var level: String
    var msg: String
    var service: String
    var event: [String: String]
  }

  public var logLevel: Logger.Level = .info
  public var metadata: Logger.Metadata = [:]
  private let label: String

  public init(label: String) { self.label = label }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let values = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let line = Line(
      ts: (Date().timeIntervalSince1970 * 1000).rounded() / 1000, level: event.level.rawValue,
      msg: String("\(event.message)".prefix(2048)), service: label,
      event: values.mapValues { String("\($0)".prefix(2048)) })
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard var bytes = try? Array(encoder.encode(line)) else { return }
    bytes.append(UInt8(ascii: "\n"))
    // One call a line, so that lines of several threads do not mix.
    _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
