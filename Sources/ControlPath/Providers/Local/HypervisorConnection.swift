import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Providers

/// Requests to one `godwit-hypervisor`, over TCP or a Unix socket. Nothing is retried here.
struct HypervisorConnection: Sendable {
  static let longestAnswer = 32 << 20

  /// Follows no redirects: they could lead anywhere. Lives as long as the process.
  private static let http: HTTPClient = {
    var configuration = HTTPClient.Configuration.singletonConfiguration
    configuration.redirectConfiguration = .disallow
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
  }()

  private let base: String
  private let token: String

  /// `endpoint` is `http://127.0.0.1:PORT` or `unix:/PATH`.
  init(endpoint: String, token: String) throws {
    self.token = token
    if endpoint.hasPrefix("unix:/") {
      base = "http+unix://\(Self.encoded(endpoint.dropFirst(5)))"
    } else if endpoint.hasPrefix("http://") {
      base = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    } else {
      throw ProviderError(.invalid, "\(endpoint) is no hypervisor: give http://127.0.0.1:PORT or unix:/PATH")
    }
  }

  /// The answer's JSON.
  func call<Answer: Decodable>(_ method: HTTPMethod, _ path: String, _ body: (some Encodable)?) async throws -> Answer {
    let bytes = try await send(method, path, try body.map { try JSONEncoder().encode($0) })
    do {
      return try JSONDecoder().decode(Answer.self, from: Data(bytes))
    } catch {
      throw ProviderError(.failed, "the hypervisor's answer to \(method) \(path) is not understood: \(error)")
    }
  }

  func get<Answer: Decodable>(_ path: String) async throws -> Answer {
    try await call(.GET, path, String?.none)
  }

  /// The answer, or nil when there is no such object.
  func find<Answer: Decodable>(_ path: String) async throws -> Answer? {
    do { return try await get(path) } catch let error as ProviderError where error.code == .notFound { return nil }
  }

  /// The answer's bytes.
  @discardableResult
  func send(_ method: HTTPMethod, _ path: String, _ body: Data? = nil) async throws -> [UInt8] {
    var request = HTTPClientRequest(url: "\(base)/v1/\(path)")
    request.method = method
    request.headers.add(name: "authorization", value: "Bearer \(token)")
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: body))
    }
    let (status, bytes) = try await answer(to: request)
    guard (200..<300).contains(status) else { throw Self.error(status, bytes) }
    return bytes
  }

  private func answer(to request: HTTPClientRequest) async throws -> (Int, [UInt8]) {
    do {
      let response = try await Self.http.execute(request, timeout: .seconds(60))
      let body = try await response.body.collect(upTo: Self.longestAnswer)
      return (Int(response.status.code), Array(body.readableBytesView))
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw ProviderError(
        .unavailable, "the hypervisor at \(base) did not answer: \(error); is godwit-hypervisor running?")
    }
  }

  private struct Problem: Decodable {
    var code: ProviderError.Code?
    var detail: String?
  }

  private static func error(_ status: Int, _ body: [UInt8]) -> ProviderError {
    let problem = try? JSONDecoder().decode(Problem.self, from: Data(body))
    return ProviderError(
      problem?.code ?? (status >= 500 ? .unavailable : .failed),
      problem?.detail ?? "the hypervisor answered with status \(status)")
  }

  /// Percent-encodes everything but letters, digits and `-._~`.
  static func encoded(_ text: some StringProtocol) -> String {
    text.utf8.map { byte in
      let plain = Character(UnicodeScalar(byte))
      if byte < 128, plain.isLetter || plain.isNumber || "-._~".contains(plain) { return String(plain) }
      return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
  }

  /// `resources?tag=...` for all of `tags`.
  static func resources(_ tags: Tags) -> String {
    let query = tags.sorted { $0.key < $1.key }.map { "tag=" + encoded("\($0.key)=\($0.value)") }
    return query.isEmpty ? "resources" : "resources?" + query.joined(separator: "&")
  }
}

/// The answer of `GET /v1/resources`. The hypervisor's objects have the shapes of the seam's own values.
struct HypervisorResources: Decodable {
  var volumes: [Volume]
  var snapshots: [Snapshot]
  var machines: [Machine]
}
