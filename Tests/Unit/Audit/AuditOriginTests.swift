import GRDB
import Hummingbird
import Logging
import NIOHTTP1
import Testing
import Wire

@testable import ServiceKit

/// Who is refused, and where people's requests come from, as a service between a front and its database sees them.
@Suite(.timeLimit(.minutes(1))) struct AuditOriginTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private typealias Ask = @Sendable (HTTPMethod, String, AccessToken) async throws -> Void

  /// A service over TCP with `GET` and `PUT v1/tenants/{tenant}/thing`; answers with the events that the requests left.
  private func serving(fronts: Set<String>, _ body: @escaping @Sendable (Ask) async throws -> Void) async throws
    -> [AuditEvent]
  {
    try await withTemporaryFolder { folder in
      var migrator = DatabaseMigrator()
      AuditOutbox.register(in: &migrator)
      let (pool, key) = (try ServiceKit.Database.open(folder + "/test.sqlite", migrations: migrator), AgentKey())
      let users = AccessTokenVerifier(KeyDirectory { KeySet(keys: [.init(publicKey: key.publicKey)]) }, now: { 1000 })
      let path = "/v1/tenants/{tenant}/thing"
      let tokens = TokenMiddleware(
        services: ServiceTokenVerifier(audience: "test", keys: [:]), users: users,
        rights: RouteRights(["PUT " + path: .migrate, "GET " + path: .configure]),
        auditor: Auditor(service: "test", writer: pool, fronts: fronts))
      let routes: @Sendable (Router<ServiceContext>) -> Void = { router in
        let tenant = router.group("v1/tenants/{tenant}").add(middleware: tokens)
        tenant.put("thing") { _, _ in HTTPResponse.Status.noContent }
        tenant.get("thing") { _, _ in HTTPResponse.Status.noContent }
      }
      try await HTTPServer.whileRunning(
        .tcp(host: "127.0.0.1", port: 0, tls: nil), logger: Self.quiet, routes: routes
      ) { place in
        try await body { method, path, claims in
          let token = try CompactJWS.sign(claims, header: .init(typ: AccessToken.type, kid: key.thumbprint), with: key)
          let client = try RESTClient(name: "test", endpoint: .web(url: "http://\(place)", ca: nil)) {
            "Bearer " + token
          }
          _ = try await client.send(method, path, headers: ["X-Forwarded-For": "192.0.2.7"])
        }
      }
      return try await pool.read { try AuditOutbox.oldest($0, limit: 100).map(\.event) }
    }
  }

  private static func token(_ role: Role, _ tenant: String) -> AccessToken {
    AccessToken(sub: "ada", tenant: tenant, role: role, scopes: role.rights, sid: "ses-1", now: 1000)
  }

  @Test func `Over TCP the front's word on the caller's address is taken, and nobody else's`() async throws {
    for (fronts, from) in [(Set(["127.0.0.1"]), "192.0.2.7"), (["192.0.2.1"], "127.0.0.1")] {
      let events = try await serving(fronts: fronts) { ask in
        try await ask(.PUT, "/v1/tenants/acme/thing", Self.token(.migrator, "acme"))
      }
      #expect(events.map(\.from) == [from])
    }
  }

  @Test func `What a role may not is audited, also where it only reads; a stranger's trying stands in his own tenant`()
    async throws
  {
    let events = try await serving(fronts: []) { ask in
      await #expect(throws: Problem.self) { try await ask(.PUT, "/v1/tenants/acme/thing", Self.token(.viewer, "acme")) }
      await #expect(throws: Problem.self) { try await ask(.GET, "/v1/tenants/acme/thing", Self.token(.viewer, "acme")) }
      try await ask(.GET, "/v1/tenants/acme/thing", Self.token(.owner, "acme"))
      await #expect(throws: Problem.self) {
        try await ask(.PUT, "/v1/tenants/acme/thing", Self.token(.owner, "globex"))
      }
    }
    #expect(events.map(\.outcome) == [.refused, .refused, .refused])
    #expect(events.map(\.code) == ["not_allowed", "not_allowed", "not_found"])
    #expect(events.map(\.tenant) == ["acme", "acme", "globex"])
    #expect(events.map(\.object) == ["thing", "thing", "/v1/tenants/acme/thing"])
    #expect(Set(events.map(\.actor)) == ["ada"])
  }
}
