import AsyncHTTPClient
import HTTPTypes
public import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import ServiceLifecycle
import Wire

/// Hands requests on to another service; answers are streamed.
public struct Forwarder: Sendable {
  private let name: String
  private let base: String
  private let tls: TLSConfiguration?
  private let timeout: TimeAmount

  /// - Parameters:
  ///   - name: of the service, for errors.
  ///   - timeoutSeconds: for one request; longer than the longest long poll.
  /// - Throws: `ConfigurationError` for a URL or CA that cannot be used.
  public init(name: String, endpoint: RESTClient.Endpoint, timeoutSeconds: Int64 = 180) throws {
    (self.name, timeout) = (name, .seconds(timeoutSeconds))
    (base, tls) = try RESTClient.resolve(endpoint)
  }

  /// The service's answer to `request`.
  /// - Parameter authorization: replaces the request's own `Authorization`; nil leaves it.
  public func forward(_ request: Request, _ context: ServiceContext, authorization: String? = nil) async throws
    -> Response
  {
    var outgoing = HTTPClientRequest(url: base + request.uri.string)
    outgoing.tlsConfiguration = tls
    outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
    for field in request.headers where !Self.dropped.contains(field.name.canonicalName) {
      outgoing.headers.add(name: field.name.rawName, value: field.value)
    }
    RequestTrace.current?.apply(to: &outgoing.headers)
    if let authorization { outgoing.headers.replaceOrAdd(name: "Authorization", value: authorization) }
    outgoing.headers.replaceOrAdd(name: "X-Forwarded-Proto", value: "https")
    if let peer = context.peer { outgoing.headers.replaceOrAdd(name: "X-Forwarded-For", value: peer) }
    if let host = request.head.authority { outgoing.headers.replaceOrAdd(name: "X-Forwarded-Host", value: host) }
    // Taken in whole: a body that is still streamed when the service has answered would be read by two sides at once.
    let body = try await request.wholeBody(limit: Self.longestBody)
    if body.readableBytes > 0 { outgoing.body = .bytes(body) }
    let answer: HTTPClientResponse
    // What waits for news may be asked for again; all else is let end.
    let isLongPoll = request.method == .get && request.uri.queryParameters["wait"] != nil
    do {
      answer =
        isLongPoll
        ? try await cancelWhenGracefulShutdown { [outgoing, timeout] in
          try await RESTClient.http.execute(outgoing, timeout: timeout)
        } : try await RESTClient.http.execute(outgoing, timeout: timeout)
    } catch {
      if Task.isCancelled || isLongPoll && Task.isShuttingDownGracefully { throw CancellationError() }
      context.logger.warning("service does not answer", metadata: ["service": "\(name)", "error": "\(error)"])
      throw Problem(
        code: "unreachable", status: 503, detail: "The service '\(name)' does not answer.",
        remedy: "Try again in a moment; see the platform's log if it lasts.")
    }
    return Self.response(answer)
  }

  private static func response(_ answer: HTTPClientResponse) -> Response {
    var headers = HTTPFields()
    for header in answer.headers where !dropped.contains(header.name.lowercased()) {
      if let name = HTTPField.Name(header.name) { headers.append(.init(name: name, value: header.value)) }
    }
    let status = HTTPResponse.Status(code: Int(answer.status.code))
    if status == .noContent || status == .notModified { return Response(status: status, headers: headers) }
    if let length = answer.headers.first(name: "content-length") { headers[.contentLength] = length }
    return Response(status: status, headers: headers, body: .init(asyncSequence: answer.body))
  }

  /// Bytes; the services' requests are JSON.
  private static let longestBody = 8 << 20

  /// What belongs to one connection, or is set anew here.
  private static let dropped: Set<String> = [
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "content-length", "date", "expect", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for",
    "x-request-id", "traceparent", "tracestate"
  ]
}
