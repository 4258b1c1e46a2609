import Foundation

/// The fields of a form, `application/x-www-form-urlencoded`.
struct Form: Sendable {
  private let fields: [(name: String, value: String)]

  init(_ text: some StringProtocol) {
    fields = text.split(separator: "&").prefix(512).map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (Self.decode(parts[0]), parts.count > 1 ? Self.decode(parts[1]) : "")
    }
  }

  /// The first field of that name; nil where it is missing or holds but spaces.
  subscript(_ name: String) -> String? {
    guard let value = fields.first(where: { $0.name == name })?.value, value.contains(where: { !$0.isWhitespace })
    else { return nil }
    return value
  }

  /// Every value of that name.
  func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

  private static func decode(_ text: some StringProtocol) -> String {
    String(text).replacing("+", with: " ").removingPercentEncoding ?? ""
  }
}
