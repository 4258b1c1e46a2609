/// `HOST:PORT` as given on a command line; an IPv6 address stands in brackets.
public enum ListenAddress {
  public static func parse(_ text: String) throws -> (host: String, port: Int) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw ConfigurationError("'\(text)' is no HOST:PORT.", remedy: "Give for instance 127.0.0.1:8443.")
    }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard !host.isEmpty else {
      throw ConfigurationError("'\(text)' names no host.", remedy: "Give for instance 127.0.0.1:8443.")
    }
    return (host, Int(port))
  }
}
