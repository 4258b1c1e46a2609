/// The one secret of a fresh installation: whoever holds it may do everything.
public struct AdminToken: Sendable {
  public let text: String

  public init(_ text: String) { self.text = text }

  /// Reads the token from a file of mode 0600, or makes both at first start.
  public static func open(file: String) throws -> AdminToken {
    if let bytes = try PrivateFile.read(file) {
      let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
      guard text.utf8.count >= 32 else {
        throw ConfigurationError("\(file) holds no token.", remedy: "Remove it; the next start makes a new one.")
      }
      return AdminToken(text)
    }
    let token = AdminToken("gwa_" + Secret.text(bytes: 32))
    try PrivateFile.write(Array((token.text + "\n").utf8), to: file)
    return token
  }

  public func matches(_ given: String) -> Bool { Secret.same(text, given) }
}
