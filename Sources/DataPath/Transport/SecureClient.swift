import AsyncHTTPClient
import FoundationEssentials
public import NIOCore
import NIOHTTP1
import NIOSSL
public import Wire

/// HTTPS requests that carry a proof of the agent's key.
///
/// Trusts the CA of its settings only, follows no redirect, repeats nothing by itself but what a server refused for the time
/// of its proof.
public final class SecureClient: Sendable {
  public struct Answer: Sendable {
    public let status: Int
    public let body: ByteBuffer
    /// Seconds of a `Retry-After`.
    public let retryAfter: Int?
  }

  /// The system's clock, in seconds since 1970.
  public static let systemTime: @Sendable () -> Int = { Int(Date().timeIntervalSince1970) }

  /// Seconds by which the own clock may differ from a server's, by which requests then go.
  public static let mostSkew = ServerTime.most

  private let client: HTTPClient
  private let key: AgentKey
  private let proxy: String
  private let time: ServerTime

  /// - Parameters:
  ///   - connections: most connections to one server.
  ///   - silence: after which a connection is given up on which the other end gives no sign of life.
  ///   - now: seconds since 1970.
  /// - Throws: `TransportError.badSettings`.
  public init(
    settings: ConnectionSettings, key: AgentKey, group: any EventLoopGroup, connections: Int = 8,
    silence: Duration = .seconds(60), now: @escaping @Sendable () -> Int = systemTime
  ) throws {
    var configuration = HTTPClient.Configuration(
      tlsConfiguration: try Self.tls(settings), redirectConfiguration: .disallow,
      timeout: .init(connect: .seconds(10)),
      connectionPool: .init(idleTimeout: .seconds(30), concurrentHTTP1ConnectionsPerHostSoftLimit: connections),
      proxy: settings.proxy.map { .init($0) })
    // Who asks decides about retries; a hidden one would only delay the error.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.httpVersion = .http1Only
    configuration.http1_1ConnectionDebugInitializer = { Self.giveUp($0, after: silence) }
    client = HTTPClient(eventLoopGroup: group, configuration: configuration)
    proxy = settings.proxy.map { "\($0.host):\($0.port)" } ?? "none"
    (self.key, time) = (key, ServerTime(own: now))
  }

  /// Closes all connections. Must be called before the last reference goes.
  public func shutdown() async throws { try await client.shutdown() }

  private static func tls(_ settings: ConnectionSettings) throws -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    var roots: [NIOSSLCertificate] = []
    for (name, pem) in [("CA", settings.authority), ("extra CA", settings.extraAuthority)] {
      guard let pem else { continue }
      guard let found = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)), !found.isEmpty else {
        throw TransportError.badSettings("the \(name) holds no PEM certificate")
      }
      roots += found
    }
    tls.trustRoots = .certificates(roots)
    tls.certificateVerification = .fullVerification
    return tls
  }

  /// Sends one request and collects its answer; every answer of status 300 and above is thrown as `.refused`.
  ///
  /// - Parameters:
  ///   - token: sent as `Authorization: DPoP`, and bound into the proof.
  ///   - timeout: for the whole exchange.
  ///   - limit: longest answer accepted, in bytes.
  /// - Throws: `TransportError`.
  public func send(
    _ method: HTTPVerb, _ url: String, token: String?, body: ByteBuffer? = nil,
    contentType: String = "application/json", timeout: TimeAmount = .seconds(60), limit: Int = 8 << 20
  ) async throws -> Answer {
    let deadline = NIODeadline.now() + timeout
    do {
      let first = try request(method, url, token: token, body: body, contentType: contentType)
      var response = try await client.execute(first, deadline: deadline)
      if response.status == .unauthorized,
        time.correct(by: response.headers.first(name: "date").flatMap(Self.seconds(ofDate:)))
      {
        _ = try? await response.body.collect(upTo: limit)
        let second = try request(method, url, token: token, body: body, contentType: contentType)
        response = try await client.execute(second, deadline: deadline)
      }
      let body = try await response.body.collect(upTo: limit)
      let retryAfter = response.headers.first(name: "retry-after").flatMap { Int($0) }
      let answer = Answer(status: Int(response.status.code), body: body, retryAfter: retryAfter)
      guard answer.status < 300 else { throw Self.refusal(answer) }
      return answer
    } catch {
      throw TransportError(error, url: url, proxy: proxy)
    }
  }

  /// Sends a request as it is; the answer's body is not read.
  func execute(_ request: HTTPClientRequest, url: String) async throws -> HTTPClientResponse {
    do { return try await client.execute(request, timeout: .seconds(20)) } catch {
      throw TransportError(error, url: url, proxy: proxy)
    }
  }

  private func request(
    _ method: HTTPVerb, _ url: String, token: String?, body: ByteBuffer?, contentType: String
  ) throws -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url)
    request.method = HTTPMethod(rawValue: method.rawValue)
    if let token { request.headers.add(name: "authorization", value: "DPoP \(token)") }
    var generator = SystemRandomNumberGenerator()
    let jti = Base64URL.encode((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    let proof = try KeyProof.make(
      key: key, method: method.rawValue, url: url, accessToken: token, now: time.now, jti: jti)
    request.headers.add(name: "dpop", value: proof)
    if let body {
      request.headers.add(name: "content-type", value: contentType)
      request.body = .bytes(body)
    }
    return request
  }

  private static func refusal(_ answer: Answer) -> TransportError {
    if let problem = try? JSONDecoder().decode(Problem.self, from: Data(answer.body.readableBytesView)) {
      return .refused(problem, retryAfter: answer.retryAfter)
    }
    let problem = Problem(
      code: "http_\(answer.status)", status: answer.status, detail: "the server answered \(answer.status)",
      remedy: "see the log of the server or of the proxy before it")
    return .refused(problem, retryAfter: answer.retryAfter)
  }
}

/// The methods of our protocols.
public enum HTTPVerb: String, Sendable {
  case get = "GET", post = "POST", put = "PUT"
}

extension HTTPClient.Configuration.Proxy {
  fileprivate init(_ proxy: ConnectionSettings.Proxy) {
    if let user = proxy.user {
      let credentials = HTTPClient.Authorization.basic(username: user, password: proxy.password ?? "")
      self = .server(host: proxy.host, port: proxy.port, authorization: credentials)
    } else {
      self = .server(host: proxy.host, port: proxy.port)
    }
  }
}
