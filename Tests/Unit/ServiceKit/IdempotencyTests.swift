import AsyncHTTPClient
import Foundation
import GRDB
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Testing
import Wire

@testable import ServiceKit

/// `Idempotency-Key`, ETags and `If-Match` as callers of a service meet them.
@Suite(.timeLimit(.minutes(1))) struct IdempotencyTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  struct Thing: Codable, Hashable { var name: String, secret: String }
  struct Answer { var status: Int, body: String, headers: HTTPHeaders }

  /// A service whose `POST things` makes a row and answers with a secret, and the ways to ask it.
  struct Service: Sendable {
    let pool: DatabasePool
    let key: AgentKey
    let path: String

    func ask(
      _ method: HTTPMethod = .POST, _ body: String = #"{"name":"fine","secret":""}"#, key secret: String? = nil,
      actor: String = "ada", headers: [(String, String)] = []
    ) async throws -> Answer {
      let socket = path.replacingOccurrences(of: "/", with: "%2F")
      var request = HTTPClientRequest(url: "http+unix://\(socket)/v1/tenants/acme/things")
      request.method = method
      let issuer = ServiceTokenIssuer(name: "front", key: key)
      let token = try issuer.token(for: "test", tenant: "acme", subject: actor)
      request.headers.add(name: "Authorization", value: "Bearer " + token)
      if let secret { request.headers.add(name: "Idempotency-Key", value: secret) }
      for (name, value) in headers { request.headers.add(name: name, value: value) }
      if method != .GET { request.body = .bytes(ByteBuffer(string: body)) }
      let answer = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
      return Answer(
        status: Int(answer.status.code), body: String(buffer: try await answer.body.collect(upTo: 1 << 20)),
        headers: answer.headers)
    }

    func rows() async throws -> [String] {
      try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM thing ORDER BY rowid") }
    }
  }

  private func serving(_ body: @escaping @Sendable (Service) async throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      var migrator = DatabaseMigrator()
      migrator.registerMigration("thing-1") { try $0.execute(sql: "CREATE TABLE thing (name TEXT)") }
      AuditOutbox.register(in: &migrator)
      let (pool, key) = (try ServiceKit.Database.open(folder + "/test.sqlite", migrations: migrator), AgentKey())
      let tokens = TokenMiddleware(
        services: ServiceTokenVerifier(audience: "test", keys: ["front": key.publicKey]), users: nil,
        rights: RouteRights([:]), auditor: Auditor(service: "test", writer: pool))
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        let tenant = router.group("v1/tenants/{tenant}").add(middleware: tokens)
        tenant.post("things") { request, _ in
          var thing = try await request.json(Thing.self)
          let name = thing.name
          try await pool.audited { try $0.execute(sql: "INSERT INTO thing VALUES (?)", arguments: [name]) }
          if name == "late" { throw Problem.conflict("Too late.", remedy: "Take another.") }
          if name == "slow" { try await Task.sleep(for: .milliseconds(300)) }
          thing.secret = "gwx_" + Secret.text(bytes: 8)
          return try JSONAnswer(thing, status: .created)
        }
        tenant.get("things") { _, _ in
          try JSONAnswer(try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM thing") })
        }
        tenant.put("things") { request, _ in
          let (thing, precondition) = (try await request.json(Thing.self), Precondition(request))
          let names = try await pool.audited { database in
            try precondition.check(try String.fetchAll(database, sql: "SELECT name FROM thing"))
            try database.execute(sql: "UPDATE thing SET name = ?", arguments: [thing.name])
            return try String.fetchAll(database, sql: "SELECT name FROM thing")
          }
          return try JSONAnswer(names)
        }
      }
      let path = folder + "/s.sock"
      try await HTTPServer.whileRunning(.unix(path: path), logger: Self.quiet, routes: routes) { _ in
        try await body(Service(pool: pool, key: key, path: path))
      }
    }
  }

  @Test
  func `The same request again is answered as the first time and makes nothing; another one under its key is refused`()
    async throws
  {
    try await serving { service in
      let first = try await service.ask(key: "one")
      let again = try await service.ask(key: "one")
      #expect(first.status == 201 && again.status == 201 && again.body == first.body)
      #expect(first.headers.first(name: "Idempotency-Replayed") == nil)
      #expect(again.headers.first(name: "Idempotency-Replayed") == "true")
      #expect(again.headers.first(name: "Content-Type") == "application/json")
      let other = try await service.ask(.POST, #"{"name":"other","secret":""}"#, key: "one")
      #expect(other.status == 422 && other.body.contains("idempotency_key_reused"))
      // Somebody else's key of the same name is another one.
      let stranger = try await service.ask(key: "one", actor: "bob")
      #expect(stranger.status == 201 && stranger.body != first.body)
      #expect(try await service.rows() == ["fine", "fine"])
      let events = try await service.pool.read { try AuditOutbox.oldest($0, limit: 100).map(\.event.outcome) }
      #expect(events == [.done, .refused, .done])
      let bad = try await service.ask(key: "with space")
      #expect(bad.status == 400)
    }
  }

  @Test func `What is shown once lies in no file, and is forgotten after a day`() async throws {
    try await serving { service in
      let first = try await service.ask(key: "one")
      let secret = try JSONDecoder().decode(Thing.self, from: Data(first.body.utf8)).secret
      for name in ["/test.sqlite", "/test.sqlite-wal"] {
        let folder = String(service.path.dropLast("/s.sock".count))
        let bytes = try Data(contentsOf: URL(filePath: folder + name))
        #expect(bytes.range(of: Data(secret.utf8)) == nil)
      }
      try await service.pool.write { try $0.execute(sql: "UPDATE idempotency SET at = at - 86401") }
      let later = try await service.ask(key: "one")
      #expect(later.status == 201 && later.body != first.body)
    }
  }

  @Test func `Two at once make one thing`() async throws {
    try await serving { service in
      let body = #"{"name":"slow","secret":""}"#
      async let a = service.ask(.POST, body, key: "one")
      async let b = service.ask(.POST, body, key: "one")
      let statuses = try await [a.status, b.status].sorted()
      #expect(statuses == [201, 409])
      #expect(try await service.rows() == ["slow"])
      let after = try await service.ask(.POST, body, key: "one")
      #expect(after.status == 201)
    }
  }

  @Test func `A request that was cut off is carried out again only where it had changed nothing`() async throws {
    try await serving { service in
      let late = #"{"name":"late","secret":""}"#
      #expect(try await service.ask(.POST, late, key: "one").status == 409)
      let again = try await service.ask(.POST, late, key: "one")
      #expect(again.status == 409 && again.body.contains("idempotency_cut_off"))
      #expect(try await service.rows() == ["late"])
      // As a process that died left it, before and after its change.
      _ = try await service.ask(key: "two")
      let died = "UPDATE idempotency SET answer = NULL, life = 'dead', at = at - 61, changed = "
      try await service.pool.write { try $0.execute(sql: died + "1") }
      #expect(try await service.ask(key: "two").body.contains("idempotency_cut_off"))
      try await service.pool.write { try $0.execute(sql: died + "0") }
      #expect(try await service.ask(key: "two").status == 201)
      // A malformed one never happened.
      #expect(try await service.ask(.POST, "{", key: "three").status == 400)
      #expect(try await service.ask(key: "three").status == 201)
    }
  }

  @Test func `What has not changed is 304; a change of what has changed meanwhile is 412`() async throws {
    try await serving { service in
      _ = try await service.ask()
      let read = try await service.ask(.GET)
      let tag = try #require(read.headers.first(name: "ETag"))
      let same = try await service.ask(.GET, headers: [("If-None-Match", "\"other\", W/\(tag)")])
      #expect(same.status == 304 && same.body.isEmpty && same.headers.first(name: "ETag") == tag)
      let change = #"{"name":"changed","secret":""}"#
      let changed = try await service.ask(.PUT, change, headers: [("If-Match", tag)])
      #expect(changed.status == 200)
      let lost = try await service.ask(.PUT, #"{"name":"lost","secret":""}"#, headers: [("If-Match", tag)])
      #expect(lost.status == 412 && lost.body.contains("changed_meanwhile"))
      #expect(try await service.rows() == ["changed"])
      let now = try await service.ask(.GET, headers: [("If-None-Match", tag)])
      #expect(now.status == 200 && now.headers.first(name: "ETag") == changed.headers.first(name: "ETag"))
    }
  }
}
