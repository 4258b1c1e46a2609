import Foundation
import Hummingbird
import Logging
import NIOHTTP1
import ServiceKit
import Synchronization
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct ServiceStatusTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func serving(
    _ status: ServiceStatus, _ body: @escaping @Sendable (RESTClient) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/s.sock"
      let server = HTTPServer.Binding.unix(path: path)
      try await HTTPServer.whileRunning(server, logger: Self.quiet, status: status) { router in
        router.get("things/:id") { _, _ in HTTPResponse.Status.ok }
      } _: { _ in
        try await body(try RESTClient(name: "s", endpoint: .unix(path: path)))
      }
    }
  }

  @Test("ready only while every check passes; what is wrong goes to the log, its name to the caller") func readiness()
    async throws
  {
    struct Away: Error, CustomStringConvertible { var description: String { "canary" } }
    let isThere = Mutex(true)
    let status = ServiceStatus(
      "test", checks: [.init("database") {}, .init("clouds") { if !isThere.withLock({ $0 }) { throw Away() } }],
      logger: Self.quiet)
    try await serving(status) { client in
      _ = try await client.bytes("/healthz")
      let ready = String(decoding: try await client.bytes("/readyz"), as: UTF8.self)
      #expect(ready.contains(#""ready":true"#))
      #expect(String(decoding: try await client.bytes("/version"), as: UTF8.self).contains(ServiceStatus.version))
      isThere.withLock { $0 = false }
      try await Task.sleep(for: .seconds(1.1))
      let problem = await #expect(throws: Problem.self) { try await client.bytes("/readyz") }
      #expect(problem?.detail.contains("503") == true)
      _ = try await client.bytes("/healthz")
    }
  }

  @Test("requests are counted by template, method and status, never by path") func metrics() async throws {
    let status = ServiceStatus("test", checks: [], logger: Self.quiet)
    try await serving(status) { client in
      for id in 0..<3 { _ = try await client.bytes("/things/\(id)") }
      for path in ["/nothing/secret-1", "/nothing/secret-2"] {
        await #expect(throws: Problem.self) { try await client.bytes(path) }
      }
      let text = String(decoding: try await client.bytes("/metrics"), as: UTF8.self)
      let name = "godwit_http_request_duration_seconds"
      #expect(text.contains(#"\#(name)_count{method="GET",route="/things/{id}",status="200"} 3"#), "\(text)")
      #expect(text.contains(#"\#(name)_bucket{method="GET",route="/things/{id}",status="200",le="+Inf"} 3"#))
      #expect(text.contains(#"\#(name)_count{method="GET",route="NotFound",status="404"} 2"#))
      #expect(text.contains(#"godwit_build_info{service="test",version="\#(ServiceStatus.version)"} 1.0"#))
      #expect(!text.contains("secret"))
      for line in text.split(separator: "\n") where !line.hasPrefix("#") { #expect(line.hasPrefix("godwit_")) }
    }
  }

  @Test("metrics want the token where there is one") func token() async throws {
    let status = ServiceStatus("test", checks: [], logger: Self.quiet, metricsToken: AdminToken("right"))
    try await serving(status) { client in
      await #expect(throws: Problem.tokenRefused) { try await client.bytes("/metrics") }
      _ = try await client.send(.GET, "/metrics", headers: ["Authorization": "Bearer right"])
    }
  }

  @Test("a label cannot end its line") func labels() async {
    let registry = MetricRegistry()
    registry.count("godwit_test_total", "Of a test.", ["name": "a\"} 1\n\\b"])
    #expect(await registry.text().contains(#"godwit_test_total{name="a\"} 1\n\\b"} 1.0"#))
  }
}
