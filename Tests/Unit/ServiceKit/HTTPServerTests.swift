import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceKit
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct HTTPServerTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private struct Named: Codable, Equatable { var name: String, size: Int }
  private struct Leaky: Error, CustomStringConvertible { var description: String { "password=canary" } }

  @Sendable private static func routes(_ router: Router<ServiceContext>) {
    router.get("fine") { _, _ in try JSONAnswer(Named(name: "a", size: 1)) }
    router.put("echo") { request, _ in
      try JSONAnswer(try await request.json(Named.self, limit: 1000), status: .accepted)
    }
    router.get("problem") { _, _ -> HTTPResponse.Status in
      throw Problem(code: "teapot", status: 418, detail: "It is a teapot.", remedy: "Use a kettle.")
    }
    router.get("leaky") { _, _ -> HTTPResponse.Status in throw Leaky() }
  }

  private func withServer(_ body: @escaping @Sendable (RESTClient, String) async throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let socket = folder + "/test.sock"
      try await HTTPServer.whileRunning(.unix(path: socket), logger: Self.quiet, routes: Self.routes) { _ in
        try await body(try RESTClient(name: "test", endpoint: .unix(path: socket)), socket)
      }
      #expect(!FileManager.default.fileExists(atPath: socket))
    }
  }

  @Test("connections that come in while the server ends do not end the process")
  func connectionsAtTheEnd() async throws {
    var made = 0
    for _ in 0..<30 {
      made += try await withTemporaryFolder { folder in
        let path = folder + "/test.sock"
        return try await withThrowingTaskGroup(of: Int.self) { group in
          for _ in 0..<4 { group.addTask { await Self.connect(path) } }
          try await HTTPServer.whileRunning(.unix(path: path), logger: Self.quiet, routes: Self.routes) { _ in
            try await Task.sleep(for: .milliseconds(20))
          }
          group.cancelAll()
          return try await group.reduce(0, +)
        }
      }
    }
    #expect(made > 30)
  }

  /// Connects again and again until it is cancelled; how often it could.
  private static func connect(_ path: String) async -> Int {
    var made = 0
    while !Task.isCancelled {
      let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      if let connection = try? await bootstrap.connect(unixDomainSocketPath: path).get() {
        made += 1
        try? await connection.close()
      } else {
        await Task.yield()
      }
    }
    return made
  }

  @Test("a Unix socket is the owner's alone and serves JSON") func unixSocket() async throws {
    try await withServer { client, socket in
      #expect(try mode(of: socket) == 0o600)
      let answer: Named = try await client.get("/fine")
      #expect(answer == Named(name: "a", size: 1))
      let echoed: Named = try await client.put("/echo", Named(name: "b", size: 2))
      #expect(echoed.name == "b")
    }
  }

  @Test("problems arrive as they were thrown") func problems() async throws {
    try await withServer { client, _ in
      let expected = Problem(code: "teapot", status: 418, detail: "It is a teapot.", remedy: "Use a kettle.")
      await #expect(throws: expected) { try await client.get("/problem", as: Named.self) }
      let none: Named? = try await client.find("/nowhere")
      #expect(none == nil)
    }
  }

  @Test("an unexpected error becomes a 500 with a support code and without its text") func unexpected() async throws {
    try await withServer { client, _ in
      let problem = await #expect(throws: Problem.self) { try await client.get("/leaky", as: Named.self) }
      #expect(problem?.status == 500)
      #expect(problem?.code == "internal")
      #expect(problem?.detail.contains("support code") == true)
      #expect(problem?.detail.contains("canary") == false)
    }
  }

  @Test("a body that is not what is expected names the field; one too long is refused") func malformed() async throws {
    try await withServer { client, _ in
      let missing = await #expect(throws: Problem.self) { try await client.put("/echo", ["name": "x"], as: Named.self) }
      #expect(missing?.status == 400)
      #expect(missing?.detail.contains("'size'") == true)
      let long = Named(name: String(repeating: "x", count: 5000), size: 1)
      let tooLong = await #expect(throws: Problem.self) { try await client.put("/echo", long, as: Named.self) }
      #expect(tooLong?.status == 413)
    }
  }

  @Test("without TLS only loopback addresses are listened on") func loopbackOnly() async throws {
    let server = HTTPServer(.tcp(host: "0.0.0.0", port: 0, tls: nil), logger: Self.quiet) { _ in }
    await #expect(throws: ConfigurationError.self) { try await server.run() }
  }

  @Test("an address in use is said in plain words") func inUse() async throws {
    let none: @Sendable (Router<ServiceContext>) -> Void = { _ in }
    try await HTTPServer.whileRunning(.tcp(host: "127.0.0.1", port: 0, tls: nil), logger: Self.quiet, routes: none) {
      guard case .tcp(_, let port) = $0 else { return }
      let second = HTTPServer(.tcp(host: "127.0.0.1", port: port, tls: nil), logger: Self.quiet) { _ in }
      let error = await #expect(throws: ConfigurationError.self) { try await second.run() }
      #expect(error?.problem.contains("127.0.0.1:\(port)") == true)
    }
  }

  @Test("nobody there is a problem with a remedy") func unreachable() async throws {
    let client = try RESTClient(name: "ghost", endpoint: .unix(path: "/nonexistent/socket"))
    let problem = await #expect(throws: Problem.self) { try await client.get("/fine", as: Named.self) }
    #expect(problem?.code == "unreachable")
    #expect(problem?.remedy.isEmpty == false)
  }

  @Test("the forwarder takes bodies whole, streams answers, and replaces the authorization") func forwarder()
    async throws
  {
    try await withTemporaryFolder { folder in
      let inner = folder + "/inner.sock"
      let size = 9 << 20
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        router.post("sum") { request, _ in
          var total = 0
          for try await part in request.body { total += part.readableBytesView.reduce(0) { $0 + Int($1) } }
          return try JSONAnswer([
            "total": "\(total)", "token": request.bearerToken ?? "", "host": request.headers[.forwardedHost] ?? ""
          ])
        }
        router.get("big") { _, _ in
          Response(status: .ok, body: .init(byteBuffer: ByteBuffer(repeating: 7, count: size)))
        }
      }
      try await HTTPServer.whileRunning(.unix(path: inner), logger: Self.quiet, routes: routes) { _ in
        let forwarder = try Forwarder(name: "inner", endpoint: .unix(path: inner))
        let outerRoutes: @Sendable (Router<ServiceContext>) -> Void = { router in
          router.post("**") { try await forwarder.forward($0, $1, authorization: "Bearer inside") }
          router.get("**") { try await forwarder.forward($0, $1) }
        }
        let outer = HTTPServer.Binding.tcp(host: "127.0.0.1", port: 0, tls: nil)
        try await HTTPServer.whileRunning(outer, logger: Self.quiet, routes: outerRoutes) { place in
          guard case .tcp(_, let port) = place else { return }
          let client = try RESTClient(
            name: "outer", endpoint: .web(url: "http://127.0.0.1:\(port)", ca: nil), authorization: { "Bearer outside" }
          )
          let sent = 3 << 20
          let body = ByteBuffer(repeating: 3, count: sent)
          let sum = try await client.send(.POST, "/sum?x=1", body: body)
          let answer = try JSONDecoder().decode([String: String].self, from: Data(sum.readableBytesView))
          #expect(answer["total"] == "\(3 * sent)")
          #expect(answer["token"] == "inside")
          #expect(answer["host"] == "127.0.0.1:\(port)")
          #expect(try await client.bytes("/big").count == size)
          let problem = await #expect(throws: Problem.self) { try await client.bytes("/none") }
          #expect(problem?.code == "not_found")
          let refused = await #expect(throws: Problem.self) {
            try await client.send(.POST, "/sum", body: ByteBuffer(repeating: 3, count: size))
          }
          #expect(refused?.code == "too_large")
        }
      }
    }
  }

  @Test("behind the forwarder the caller's address is the real one, whatever he says") func address() async throws {
    try await withTemporaryFolder { folder in
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        router.get("who") { request, context in try JSONAnswer([context.address(of: request)]) }
      }
      try await HTTPServer.whileRunning(.unix(path: folder + "/in.sock"), logger: Self.quiet, routes: routes) { _ in
        let forwarder = try Forwarder(name: "inner", endpoint: .unix(path: folder + "/in.sock"))
        let outer: @Sendable (Router<ServiceContext>) -> Void = { router in
          router.get("who") { try await forwarder.forward($0, $1) }
        }
        let place = HTTPServer.Binding.tcp(host: "127.0.0.1", port: 0, tls: nil)
        try await HTTPServer.whileRunning(place, logger: Self.quiet, routes: outer) { place in
          guard case .tcp(_, let port) = place else { return }
          let client = try RESTClient(name: "outer", endpoint: .web(url: "http://127.0.0.1:\(port)", ca: nil))
          let answer = try await client.send(.GET, "/who", headers: ["X-Forwarded-For": "203.0.113.9"])
          #expect(String(buffer: answer) == #"["127.0.0.1"]"#)
        }
      }
    }
  }
}
