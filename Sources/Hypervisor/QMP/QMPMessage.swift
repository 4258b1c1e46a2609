/// What QEMU says on its monitor: one JSON object a line.
enum QMPMessage: Hashable, Sendable {
  case greeting
  case answer(JSONValue)
  /// QEMU's class (`GenericError`, `DeviceNotFound`, ...) and text.
  case refusal(kind: String, text: String)
  case event(String)

  /// Throws for what no version of QEMU says.
  init(line: some Collection<UInt8>) throws {
    let value = try JSONValue(text: line)
    if value["QMP"] != nil {
      self = .greeting
    } else if let answer = value["return"] {
      self = .answer(answer)
    } else if let refusal = value["error"] {
      self = .refusal(kind: refusal["class"]?.string ?? "", text: refusal["desc"]?.string ?? "")
    } else if let event = value["event"]?.string {
      self = .event(event)
    } else {
      throw HypervisorError(.failed, "QEMU's monitor said what QMP does not know: \(value)")
    }
  }

  /// The line that asks QEMU to do `command`.
  static func command(_ command: String, _ arguments: JSONValue?) throws -> [UInt8] {
    var members: [String: JSONValue] = ["execute": .string(command)]
    if let arguments { members["arguments"] = arguments }
    return Array(try JSONValue.object(members).text.utf8) + [UInt8(ascii: "\n")]
  }
}
