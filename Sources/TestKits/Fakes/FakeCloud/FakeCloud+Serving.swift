import Logging
import Logs
import ServiceKit

extension FakeCloud {
  /// Serves a fake cloud of this folder from this process, on a free loopback port, while `body` runs with its endpoint.
  public static func whileServing<Value: Sendable>(
    folder: String, secret: String? = nil, _ body: @escaping @Sendable (_ endpoint: String) async throws -> Value
  ) async throws -> Value {
    let routes = FakeCloudRoutes(try FakeCloud(folder: folder), secret: secret)
    let logger = Logger(label: "fakecloud") { JSONLogHandler(label: $0, level: .critical) }
    let serve: @Sendable (HTTPServer.Place) async throws -> Value = { place in
      guard case .tcp(let host, let port) = place else { throw ConfigurationError("It has no port.", remedy: "") }
      return try await body("http://\(host):\(port)")
    }
    return try await HTTPServer.whileRunning(
      .tcp(host: "127.0.0.1", port: 0, tls: nil), logger: logger, routes: { routes.add(to: $0) }, serve)
  }
}
