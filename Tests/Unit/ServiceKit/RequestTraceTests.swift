import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Logs
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing
import Wire

@testable import ServiceKit

@Suite(.timeLimit(.minutes(1))) struct RequestTraceTests {
  private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

  @Test("a well-formed parent is gone on with under a span of its own") func goneOn() {
    let trace = RequestTrace([.requestID: "abc-1", .traceparent: Self.parent, .tracestate: "vendor=1"])
    #expect(trace.requestID == "abc-1")
    #expect(trace.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(trace.spanID != "00f067aa0ba902b7")
    #expect(trace.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-\(trace.spanID)-01")
    #expect(trace.state == "vendor=1")
  }

  @Test(
    "what is not well-formed is made anew",
    arguments: [
      "", "00", "00-0-0-0", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", Self.parent + "-more", "00-4bf92f35\n"
    ]) func malformed(_ text: String)
  {
    #expect(RequestTrace.parse(text) == nil)
    #expect(RequestTrace.parse(RequestTrace().traceparent) != nil)
  }

  @Test(
    "a request id that could mean something elsewhere is replaced",
    arguments: ["", "a b", "a\"b", "a\u{1B}[2J", "id\tx", String(repeating: "x", count: 129), "ä", "{}", "a;b"])
  func hostileID(_ text: String) {
    #expect(!RequestTrace.isRequestID(text))
    #expect(RequestTrace.isRequestID(RequestTrace().requestID))
  }

  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test("id and trace go through two services, into every log line and into the problem") func carried() async throws {
    let lines = Mutex<[String]>([])
    let logger = Logger(label: "test") { label in
      var handler = JSONLogHandler(label: label, level: .debug) { line in lines.withLock { $0.append(line) } }
      handler.metadataProvider = .requestTrace
      return handler
    }
    try await withTemporaryFolder { folder in
      let inner = HTTPServer.Binding.unix(path: folder + "/inner.sock")
      let innerRoutes: @Sendable (Router<ServiceContext>) -> Void = { router in
        router.get("fails") { _, _ -> HTTPResponse.Status in
          logger.notice("deep inside")
          throw Problem.notFound("thing")
        }
      }
      try await HTTPServer.whileRunning(inner, logger: logger, routes: innerRoutes) { _ in
        let client = try RESTClient(name: "inner", endpoint: .unix(path: folder + "/inner.sock"))
        let outer: @Sendable (Router<ServiceContext>) -> Void = { router in
          router.get("calls") { _, _ in try JSONAnswer(try await client.get("/fails", as: String.self)) }
        }
        let binding = HTTPServer.Binding.unix(path: folder + "/outer.sock")
        try await HTTPServer.whileRunning(binding, logger: logger, routes: outer) { _ in
          let caller = try RESTClient(name: "outer", endpoint: .unix(path: folder + "/outer.sock"))
          await RequestTrace.$current.withValue(
            RequestTrace([.requestID: "the-request", .traceparent: Self.parent])
          ) { await #expect(throws: Problem.notFound("thing")) { try await caller.bytes("/calls") } }
        }
      }
    }
    let about = lines.withLock { $0 }.filter { $0.contains("deep inside") || $0.contains("\"msg\":\"request\"") }
    #expect(about.count == 3)
    for line in about {
      #expect(line.contains(#""request.id":"the-request""#), "\(line)")
      #expect(line.contains(#""trace.id":"4bf92f3577b34da6a3ce929d0e0e4736""#), "\(line)")
    }
  }

  @Test("a problem names its request") func problem() async throws {
    let trace = RequestTrace([.requestID: "the-request"])
    let encoded = try RequestTrace.$current.withValue(trace) { try JSONEncoder().encode(Problem.notFound("x").answer) }
    let fields = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
    #expect(fields["requestId"] as? String == "the-request")
    #expect(try JSONDecoder().decode(Problem.self, from: encoded) == .notFound("x"))
  }

  @Test("graceful shutdown lets a request under way end, and takes no new one") func graceful() async throws {
    try await withTemporaryFolder { folder in
      let (begun, begin) = AsyncStream.makeStream(of: Void.self)
      let (listening, listens) = AsyncStream.makeStream(of: Void.self)
      let server = HTTPServer(
        .unix(path: folder + "/s.sock"), logger: Self.quiet, onRunning: { _ in listens.yield() },
        routes: { router in
          router.get("slow") { _, _ in
            begin.yield()
            try await Task.sleep(for: .seconds(1))
            return try JSONAnswer("done")
          }
        })
      let group = ServiceGroup(configuration: .init(services: [server], logger: Self.quiet))
      let client = try RESTClient(name: "slow", endpoint: .unix(path: folder + "/s.sock"), repeats: false)
      async let running: Void = group.run()
      for await _ in listening { break }
      async let answer: String = client.get("/slow")
      for await _ in begun { break }
      await group.triggerGracefulShutdown()
      #expect(try await answer == "done")
      try await running
      let late = await #expect(throws: Problem.self) { try await client.bytes("/slow") }
      #expect(late?.code == "unreachable")
    }
  }
}
