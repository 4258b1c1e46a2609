import FoundationEssentials

/// One figure of a live page.
enum LiveValue: Hashable, Sendable, Encodable {
  case text(String)
  case number(Double)
  case none

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .number(let number): try container.encode(number)
    case .none: try container.encodeNil()
    }
  }
}

/// What a page is told: a `snapshot` of every figure, or a `delta` of those that changed.
struct LiveMessage: Sendable {
  let sequence: Int
  let text: String

  init(_ event: String, _ values: [String: LiveValue], generation: String, sequence: Int) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = String(decoding: try encoder.encode(values), as: UTF8.self)
    self.sequence = sequence
    text = "id: \(generation)-\(sequence)\nevent: \(event)\ndata: \(json)\n\n"
  }
}
