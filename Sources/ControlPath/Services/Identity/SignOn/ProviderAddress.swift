import Foundation

/// Addresses by which secrets and people travel: TLS, but on the machine itself.
enum ProviderAddress {
  static func isGood(_ text: String) -> Bool {
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), let parts = URLComponents(string: text),
      let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil
    else { return false }
    return parts.scheme == "https" || parts.scheme == "http" && isLocal(host)
  }

  /// Whether `text` is one of `known`; a native program's loopback address may have any port (RFC 8252, 7.3).
  static func matches(_ text: String, oneOf known: [String]) -> Bool {
    if known.contains(text) { return true }
    guard isGood(text), var parts = URLComponents(string: text), parts.host == "127.0.0.1" else { return false }
    parts.port = nil
    return known.contains(parts.string ?? "")
  }

  private static func isLocal(_ host: String) -> Bool { host == "127.0.0.1" || host == "localhost" }
}
