import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1
import Synchronization
import Testing
import Wire

@testable import ServiceKit

@Suite(.timeLimit(.minutes(1))) struct AuditOutboxTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private static func open(_ folder: String) throws -> DatabasePool {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("thing-1") { try $0.execute(sql: "CREATE TABLE thing (name TEXT PRIMARY KEY)") }
    AuditOutbox.register(in: &migrator)
    return try ServiceKit.Database.open(folder + "/test.sqlite", migrations: migrator)
  }

  private static func waiting(_ pool: DatabasePool) throws -> [AuditEvent] {
    try pool.read { try AuditOutbox.oldest($0, limit: 1000).map(\.event) }
  }

  /// A service whose `PUT things/NAME` writes one row, then fails where the name says so.
  private func serving(_ body: @escaping @Sendable (RESTClient, DatabasePool) async throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let (pool, key) = (try Self.open(folder), AgentKey())
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        let verifier = ServiceTokenVerifier(audience: "test", keys: ["front": key.publicKey])
        let tokens = TokenMiddleware(services: verifier, users: nil, rights: RouteRights([:]))
        let tenant = router.group("v1/tenants/{tenant}").add(middleware: tokens)
          .add(middleware: AuditMiddleware(Auditor(service: "test", writer: pool)))
        tenant.put("things/{name}") { _, context in
          let name = context.parameters.get("name") ?? ""
          try await pool.audited(subject: { _ in AuditSubject(tenant: "acme", object: "thing \(name)") }) { database in
            try database.execute(sql: "INSERT INTO thing (name) VALUES (?)", arguments: [name])
            if name == "undone" { throw Problem.conflict("It is not to be.", remedy: "Take another.") }
          }
          if name == "late" { throw Problem.conflict("Too late.", remedy: "Take another.") }
          return HTTPResponse.Status.noContent
        }
        tenant.post("pokes") { _, _ in HTTPResponse.Status.noContent }
        tenant.get("things") { _, _ in HTTPResponse.Status.noContent }
      }
      let path = folder + "/s.sock"
      try await HTTPServer.whileRunning(.unix(path: path), logger: Self.quiet, routes: routes) { _ in
        let issuer = ServiceTokenIssuer(name: "front", key: key)
        let client = try RESTClient(name: "test", endpoint: .unix(path: path)) {
          "Bearer " + (try issuer.token(for: "test", tenant: "acme", subject: "ada"))
        }
        try await body(client, pool)
      }
    }
  }

  private func put(_ client: RESTClient, _ name: String) async throws {
    _ = try await client.send(
      .PUT, "/v1/tenants/acme/things/\(name)", headers: ["X-Forwarded-For": "192.0.2.7", "X-Request-ID": "mine"])
  }

  @Test func `A change and its event are one transaction: who, what, from where, in which request`() async throws {
    try await serving { client, pool in
      try await RequestTrace.$current.withValue(RequestTrace([.requestID: "mine"])) {
        try await put(client, "fine")
      }
      let event = try #require(try Self.waiting(pool).first)
      #expect(event.actor == "ada" && event.tenant == "acme" && event.service == "test")
      #expect(event.action == "PUT /v1/tenants/{tenant}/things/{name}" && event.object == "thing fine")
      #expect(event.from == "192.0.2.7" && event.request == "mine" && event.outcome == .done)
      let rows = try await pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM thing") }
      #expect(rows == 1)
    }
  }

  @Test func `A change that is taken back leaves a refusal; one that stays though the request failed leaves both`()
    async throws
  {
    try await serving { client, pool in
      await #expect(throws: Problem.self) { try await put(client, "undone") }
      let undone = try Self.waiting(pool)
      #expect(undone.map(\.outcome) == [.refused] && undone.map(\.code) == ["conflict"])
      let rows = try await pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM thing") }
      #expect(rows == 0)
      await #expect(throws: Problem.self) { try await put(client, "late") }
      let late = try Self.waiting(pool)
      #expect(late.map(\.outcome) == [.refused, .done, .refused])
      #expect(Set(late.map(\.id)).count == 3)
      await #expect(throws: Problem.self) { try await put(client, "late") }
      let again = try Self.waiting(pool)
      #expect(again.last?.outcome == .failed)
    }
  }

  @Test func `A request that writes nothing leaves an event, one that only reads leaves none`() async throws {
    try await serving { client, pool in
      _ = try await client.send(.POST, "/v1/tenants/acme/pokes")
      _ = try await client.send(.GET, "/v1/tenants/acme/things")
      let waiting = try Self.waiting(pool)
      #expect(waiting.map(\.object) == ["pokes"])
    }
  }

  @Test func `What was not taken is delivered again, in order, until it is`() async throws {
    try await withTemporaryFolder { folder in
      let (pool, key, path) = (try Self.open(folder), AgentKey(), folder + "/o.sock")
      try await pool.write { database in
        for number in 0..<250 {
          try AuditOutbox.add(
            AuditEvent(
              id: "aud_\(number)", at: 1, service: "test", tenant: "acme", actor: "ada", action: "PUT", object: "x"),
            database)
        }
      }
      let taken = Mutex<[String]>([])
      let answers = Mutex(0)
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        router.post("v1/audit/events") { request, _ in
          let delivery = try await request.json(AuditAPI.Delivery.self)
          // Every other one is lost: before it was taken, then after.
          let turn = answers.withLock { turn in
            turn += 1
            return turn
          }
          guard turn % 3 != 1 else { throw Problem.notFound("one") }
          taken.withLock { $0 += delivery.events.map(\.id) }
          guard turn % 3 != 2 else { throw Problem.notFound("two") }
          return HTTPResponse.Status.noContent
        }
      }
      let sender = try AuditSender(
        service: "test", key: key, operations: .unix(path: path), writer: pool, logger: Self.quiet, pause: 0.01)
      let running = Task { try await sender.run() }
      // Nobody listens at first.
      try await Task.sleep(for: .milliseconds(100))
      try await HTTPServer.whileRunning(.unix(path: path), logger: Self.quiet, routes: routes) { _ in
        for _ in 0..<500 where try await pool.read({ try AuditOutbox.count($0) }) > 0 {
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      running.cancel()
      _ = await running.result
      let left = try Self.waiting(pool)
      #expect(left.isEmpty)
      let all = taken.withLock { $0 }
      #expect(all.count > 250, "no delivery was repeated")
      var seen: Set<String> = []
      let first = all.filter { seen.insert($0).inserted }
      #expect(first == (0..<250).map { "aud_\($0)" })
    }
  }
}
