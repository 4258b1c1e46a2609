import Glibc
public import Logging
public import NIOSSL
public import Wire

/// How the text of a setting becomes a value. Each throws a `ConfigurationError`.
public enum Setting {
  public static func text(_ text: String) -> String { text }

  /// An absolute path of a file that can be read.
  public static func file(_ path: String) throws -> String {
    guard try absolute(path), access(path, R_OK) == 0 else {
      throw ConfigurationError(
        "\(path) cannot be read: \(String(cString: strerror(errno))).", remedy: "Check the path and its rights.")
    }
    return path
  }

  /// The content of a file, as text.
  public static func content(_ path: String) throws -> String {
    String(decoding: try PrivateFile.read(try file(path), secret: false) ?? [], as: UTF8.self)
  }

  /// A folder of the service's own; made where it is missing.
  public static func folder(_ path: String) throws -> String {
    _ = try absolute(path)
    try PrivateFile.makeFolder(path)
    return path
  }

  private static func absolute(_ path: String) throws -> Bool {
    guard path.hasPrefix("/") else {
      throw ConfigurationError("'\(path)' is no absolute path.", remedy: "Begin it with '/'.")
    }
    return true
  }

  /// A number above 0.
  public static func seconds(_ text: String) throws -> Double {
    guard let number = Double(text), number > 0, number.isFinite else {
      throw ConfigurationError("'\(text)' is no number of seconds.", remedy: "Give a number above 0, for instance 30.")
    }
    return number
  }

  public static func flag(_ text: String) throws -> Bool {
    guard let flag = ["true": true, "false": false][text] else {
      throw ConfigurationError("'\(text)' is neither true nor false.", remedy: "Give one of them.")
    }
    return flag
  }

  /// A whole number above 0.
  public static func count(_ text: String) throws -> Int {
    guard let number = Int(text), (1...1_000_000).contains(number) else {
      throw ConfigurationError("'\(text)' is no number.", remedy: "Give a whole number from 1 to 1000000.")
    }
    return number
  }

  public static func logLevel(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
      throw ConfigurationError("'\(text)' is no log level.", remedy: "Give trace, debug, info, warning or error.")
    }
    return level
  }

  /// A public key, or a file with one: 32 bytes as base64url, as `godwit key` writes it.
  public static func publicKey(_ path: String) throws -> [UInt8] {
    if !path.hasPrefix("/"), let key = Base64URL.decode(path), key.count == 32 { return key }
    let text = ServiceSettings.trimmed(try content(path))
    guard let key = Base64URL.decode(text), key.count == 32 else {
      throw ConfigurationError(
        "\(path) holds no public key.", remedy: "Give the .pub file that 'godwit key' wrote beside the service's key.")
    }
    return key
  }

  /// The parts of a list: separated by commas; `\\,` is a comma within a part.
  static func list(_ text: String) -> [String] {
    // What no setting holds stands for a comma that is meant.
    text.replacing("\\,", with: "\0").split(separator: ",").map {
      ServiceSettings.trimmed($0.replacing("\0", with: ","))
    }
  }

  /// As a part of a list.
  public static func listed(_ text: String) -> String { text.replacing(",", with: "\\,") }
  /// Secret keys of 32 bytes, as base64url or in files of mode 0600, separated by commas.
  public static func secretKeys(_ text: String) throws -> [[UInt8]] {
    try list(text).map { part in
      let bytes = part.hasPrefix("/") ? try PrivateFile.read(try file(part)) : Base64URL.decode(part)
      guard let bytes, bytes.count == 32 else {
        throw ConfigurationError(
          part.hasPrefix("/") ? "\(part) holds no key." : "One of them is no key.",
          remedy: "Give files that 'godwit key' made, or 32 bytes as base64url; the newest first.")
      }
      return bytes
    }
  }

  /// Public keys, or their files, separated by commas.
  public static func publicKeys(_ text: String) throws -> [[UInt8]] {
    try list(text).map(publicKey)
  }

  /// `NAME:PATH, NAME:PATH`: public keys by the name of the service that signs with them.
  public static func callers(_ text: String) throws -> [String: [UInt8]] {
    var callers: [String: [UInt8]] = [:]
    for part in list(text) {
      guard let colon = part.firstIndex(of: ":"), colon != part.startIndex else {
        throw ConfigurationError("'\(part)' names no caller.", remedy: "Give NAME:/PATH.pub, separated by commas.")
      }
      callers[ServiceSettings.trimmed(part[..<colon])] = try publicKey(
        ServiceSettings.trimmed(part[part.index(after: colon)...]))
    }
    return callers
  }

  /// `unix:/PATH`, `https://HOST:PORT`, or `http://` to this machine: tokens do not travel open.
  /// - Parameter ca: PEM of the only roots to trust.
  public static func endpoint(_ text: String, ca: String?) throws -> RESTClient.Endpoint {
    if text.hasPrefix("unix:/") { return .unix(path: String(text.dropFirst(5))) }
    let rest = text.drop { $0 != "/" }.drop { $0 == "/" }
    let host = rest.hasPrefix("[") ? rest.prefix { $0 != "]" } + "]" : rest.prefix { $0 != ":" && $0 != "/" }
    guard !host.isEmpty, text.hasPrefix("https://") || text.hasPrefix("http://") else {
      throw ConfigurationError(
        "'\(text)' is not the address of a service.", remedy: "Give https://HOST:PORT or unix:/PATH.")
    }
    guard text.hasPrefix("https://") || ["127.0.0.1", "localhost", "[::1]"].contains(host) else {
      throw ConfigurationError("'\(text)' is neither encrypted nor on this machine.", remedy: "Give https://HOST:PORT.")
    }
    return .web(url: text, ca: ca)
  }

  /// `unix:/PATH` or `HOST:PORT`, separated by commas; TLS where it is given, needed for all but loopback.
  public static func bindings(_ text: String, tls: TLSConfiguration?) throws -> [HTTPServer.Binding] {
    try list(text).map { part in
      if part.hasPrefix("unix:/") { return .unix(path: String(part.dropFirst(5))) }
      let (host, port) = try ListenAddress.parse(part)
      let binding = HTTPServer.Binding.tcp(host: host, port: port, tls: tls)
      try binding.check()
      return binding
    }
  }
}

extension ServiceSettings {
  /// Where the service listens: `listen`, `tls-certificate`, `tls-key`.
  public mutating func bindings() -> [HTTPServer.Binding]? {
    let certificate = optional("tls-certificate", Setting.content)
    let key = optional("tls-key") { path in
      String(decoding: try PrivateFile.read(try Setting.file(path)) ?? [], as: UTF8.self)
    }
    var tls: TLSConfiguration?
    if let certificate, let key {
      do {
        tls = try CertificateAuthority.ServerIdentity(certificatePEM: certificate, privateKeyPEM: key)
          .tlsConfiguration()
      } catch {
        fault("'tls-certificate' and 'tls-key' are no PEM files of a server: \(error).", "Give certificate and key.")
      }
    } else if (certificate == nil) != (key == nil), isGoodSoFar {
      fault("'tls-certificate' and 'tls-key' go together.", "Give both or none.")
    }
    return required("listen", example: "127.0.0.1:8101") { try Setting.bindings($0, tls: tls) }
  }

  /// Another service's address; `services-ca` is the CA of all of them.
  public mutating func endpoint(_ name: String) -> RESTClient.Endpoint? {
    let ca = optional("services-ca", Setting.content)
    return required(name, example: "https://\(name.prefix { $0 != "-" }).internal:8443") {
      try Setting.endpoint($0, ca: ca)
    }
  }

  /// What checks people's access tokens: by the keys of the identity service at `identity-url`; nil where none is given.
  public mutating func users() -> AccessTokenVerifier? {
    let ca = optional("services-ca", Setting.content)
    return optional("identity-url") { AccessTokenVerifier(try KeyDirectory.of(try Setting.endpoint($0, ca: ca))) }
  }

  /// IP addresses of fronts, whose word is taken for where a request came from: `front-addresses`.
  public mutating func fronts() -> Set<String> {
    Set(optional("front-addresses") { text in text.split(separator: ",").map(Self.trimmed) } ?? [])
  }

  /// The key that the service signs with: `key-file`.
  public mutating func signingKey() -> AgentKey? {
    required("key-file", example: "/etc/godwit/\(service).key") { path in
      guard let key = try SigningKey.find(file: path) else {
        throw ConfigurationError("There is no \(path).", remedy: "Make it by 'godwit key \(path)'.")
      }
      return key
    }
  }

  /// Who may call: `callers`.
  public mutating func callers(_ example: String) -> [String: [UInt8]]? {
    required("callers", example: example, Setting.callers)
  }
}
