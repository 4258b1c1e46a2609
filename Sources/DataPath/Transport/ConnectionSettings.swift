/// How this machine reaches the platform: fixed at enrolment, the same for service and gateways.
public struct ConnectionSettings: Codable, Hashable, Sendable {
  /// PEM certificates of the platform's CA: the only root that is trusted, the system's own roots are not.
  public var authority: String
  /// PEM certificates trusted besides, for a proxy that opens TLS.
  public var extraAuthority: String?
  /// `http://[user:password@]host:port`; nil to connect directly.
  public var proxy: Proxy?

  public init(authority: String, extraAuthority: String? = nil, proxy: Proxy? = nil) {
    (self.authority, self.extraAuthority, self.proxy) = (authority, extraAuthority, proxy)
  }

  /// An HTTP proxy that is asked to CONNECT.
  public struct Proxy: Codable, Hashable, Sendable {
    public var host: String
    public var port: Int
    public var user: String?
    public var password: String?

    /// - Parameter text: `http://[user:password@]host[:port]`, as `https_proxy` holds it; the scheme may be missing,
    ///   the port is then 3128. Nil is returned for anything else.
    public init?(parsing text: String) {
      var rest = Substring(text)
      if let scheme = rest.firstRange(of: "://") {
        guard rest[..<scheme.lowerBound].lowercased() == "http" else { return nil }
        rest = rest[scheme.upperBound...]
      }
      rest = rest.prefix { $0 != "/" }
      if let at = rest.lastIndex(of: "@") {
        let credentials = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = Self.unescaped(credentials[0])
        password = credentials.count == 2 ? Self.unescaped(credentials[1]) : nil
        rest = rest[rest.index(after: at)...]
      }
      var port = 3128
      if let colon = rest.lastIndex(of: ":"), !rest.hasSuffix("]") {
        guard let number = UInt16(rest[rest.index(after: colon)...]), number > 0 else { return nil }
        port = Int(number)
        rest = rest[..<colon]
      }
      guard !rest.isEmpty else { return nil }
      host = String(rest.drop { $0 == "[" }.prefix { $0 != "]" })
      self.port = port
    }

    private static func unescaped(_ text: Substring) -> String {
      var bytes: [UInt8] = []
      var rest = text.utf8
      while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), let value = UInt8(Substring(rest.prefix(2)), radix: 16) {
          bytes.append(value)
          rest = rest.dropFirst(2)
        } else {
          bytes.append(byte)
        }
      }
      return String(decoding: bytes, as: UTF8.self)
    }
  }
}
