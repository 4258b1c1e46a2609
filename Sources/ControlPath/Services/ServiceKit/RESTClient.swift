import AsyncHTTPClient
import FoundationEssentials
public import NIOCore
public import NIOHTTP1
import NIOSSL
import Wire

/// JSON requests to one service, over TCP, TLS or a Unix socket. Every failure is a `Problem`: the peer's own, or
/// `unreachable` (503) and `unexpected_answer` (502).
public struct RESTClient: Sendable {
  public enum Endpoint: Hashable, Sendable {
    case unix(path: String)
    /// `https://HOST:PORT` or `http://HOST:PORT`; `ca` is the PEM of the only roots to trust, nil for the system's.
    case web(url: String, ca: String?)
  }

  /// Never follows redirects or decompresses; no cap that long polls could fill. Lives as long as the process.
  static let http: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: .seconds(10))
    configuration.connectionPool = .init(idleTimeout: .seconds(20), concurrentHTTP1ConnectionsPerHostSoftLimit: 4096)
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
  }()

  /// Who is called, as errors name it: `clouds`.
  public let name: String
  private let base: String
  private let tls: TLSConfiguration?
  private let timeout: TimeAmount
  private let repeats: Bool
  private let authorization: @Sendable () throws -> String?

  /// - Parameters:
  ///   - authorization: the value of the `Authorization` header, made anew for each request.
  ///   - timeout: for one whole request.
  ///   - repeats: whether a request that may be repeated is, once, when the connection broke.
  /// - Throws: `ConfigurationError` for a URL or CA that cannot be used.
  public init(
    name: String, endpoint: Endpoint, timeout: TimeAmount = .seconds(30), repeats: Bool = true,
    authorization: @escaping @Sendable () throws -> String? = { nil }
  ) throws {
    (self.name, self.timeout, self.authorization, self.repeats) = (name, timeout, authorization, repeats)
    (base, tls) = try Self.resolve(endpoint)
  }

  /// The URL before a path, and what is trusted there.
  static func resolve(_ endpoint: Endpoint) throws -> (base: String, tls: TLSConfiguration?) {
    switch endpoint {
    case .unix(let path): return (base(socket: path), nil)
    case .web(let url, let ca):
      guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
        throw ConfigurationError("'\(url)' is not the address of a server.", remedy: "Give https://HOST:PORT.")
      }
      return (url.hasSuffix("/") ? String(url.dropLast()) : url, try ca.map(trusting))
    }
  }

  /// The URL of a Unix socket, as the HTTP client wants it.
  static func base(socket path: String) -> String {
    let host = path.utf8.map { byte -> String in
      let plain = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      return plain || byte == 0x2D || byte == 0x2E ? String(UnicodeScalar(byte)) : "%" + hex(byte)
    }
    return "http+unix://" + host.joined()
  }

  static func trusting(_ ca: String) throws -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    do { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(ca.utf8))) } catch {
      throw ConfigurationError("The CA certificate cannot be read.", remedy: "Give the PEM file of the server's CA.")
    }
    return tls
  }

  /// A path of percent-encoded parts and a query: `path("v1", "volumes", id, query: ["limit": "5"])`.
  public static func path(_ parts: String..., query: KeyValuePairs<String, String?> = [:]) -> String {
    let pairs = query.compactMap { pair in pair.value.map { "\(encode(pair.key))=\(encode($0))" } }
    return "/" + parts.map(encode).joined(separator: "/") + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }

  private static func encode(_ text: String) -> String {
    text.utf8.map { byte in
      let letter = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      return letter || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte) ? String(UnicodeScalar(byte)) : "%" + hex(byte)
    }.joined()
  }

  private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) }
}

extension RESTClient {
  public func get<Answer: Decodable>(_ path: String, as type: Answer.Type = Answer.self) async throws -> Answer {
    try decode(try await send(.GET, path))
  }

  /// Nil where the answer is 404.
  public func find<Answer: Decodable>(_ path: String, as type: Answer.Type = Answer.self) async throws -> Answer? {
    do { return try await get(path) } catch let problem as Problem where problem.status == 404 { return nil }
  }

  public func put<Answer: Decodable>(
    _ path: String, _ body: some Encodable, as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try decode(try await send(.PUT, path, body: Self.encoded(body)))
  }

  public func post<Answer: Decodable>(
    _ path: String, _ body: some Encodable, as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try decode(try await send(.POST, path, body: Self.encoded(body)))
  }

  /// A `POST` whose answer does not matter.
  public func post(_ path: String, _ body: some Encodable) async throws {
    _ = try await send(.POST, path, body: Self.encoded(body))
  }

  /// Deleting what is not there is no error.
  public func delete(_ path: String) async throws {
    do { _ = try await send(.DELETE, path) } catch let problem as Problem where problem.status == 404 {}
  }

  /// The raw answer: a console, a picture.
  public func bytes(_ path: String) async throws -> [UInt8] { Array(buffer: try await send(.GET, path)) }

  private static func encoded(_ body: some Encodable) throws -> ByteBuffer {
    ByteBuffer(bytes: try JSONEncoder().encode(body))
  }

  private func decode<Answer: Decodable>(_ buffer: ByteBuffer) throws -> Answer {
    do { return try JSONDecoder().decode(Answer.self, from: Data(buffer.readableBytesView)) } catch {
      throw unexpected("something that is no \(Answer.self)")
    }
  }

  /// One request.
  /// - Parameters:
  ///   - type: the body's.
  ///   - limit: bytes of the longest answer taken.
  public func send(
    _ method: HTTPMethod, _ path: String, body: ByteBuffer? = nil, type: String = "application/json",
    headers: HTTPHeaders = [:], limit: Int = 64 << 20
  ) async throws -> ByteBuffer {
    var request = HTTPClientRequest(url: base + path)
    request.method = method
    request.headers = headers
    request.tlsConfiguration = tls
    if let body {
      request.body = .bytes(body)
      request.headers.replaceOrAdd(name: "Content-Type", value: type)
    }
    (RequestTrace.current ?? RequestTrace()).apply(to: &request.headers)
    if let value = try authorization() { request.headers.replaceOrAdd(name: "Authorization", value: value) }
    do { return try await exchange(request, limit) } catch let problem as Problem
      where problem.code == "unreachable" && repeats && method != .POST && !Task.isCancelled
    {
      return try await exchange(request, limit)
    }
  }

  private func exchange(_ request: HTTPClientRequest, _ limit: Int) async throws -> ByteBuffer {
    let status: UInt
    let body: ByteBuffer
    do {
      let response = try await Self.http.execute(request, timeout: timeout)
      (status, body) = (response.status.code, try await response.body.collect(upTo: limit))
    } catch let error as CancellationError { throw error } catch {
      if Task.isCancelled { throw CancellationError() }
      throw Problem(
        code: "unreachable", status: 503, detail: "\(name) at \(base) does not answer: \(error).",
        remedy: "Check that it runs and that the address is right, then try again.")
    }
    if (200..<300).contains(status) { return body }
    if let problem = try? JSONDecoder().decode(Problem.self, from: Data(body.readableBytesView)) { throw problem }
    throw unexpected("status \(status)")
  }

  private func unexpected(_ what: String) -> Problem {
    Problem(
      code: "unexpected_answer", status: 502, detail: "\(name) at \(base) answered with \(what).",
      remedy: "Check that the address is that of \(name) and that both are of the same version.")
  }
}
