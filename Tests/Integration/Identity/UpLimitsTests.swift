import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit
import Testing
import Wire

/// What the platform's administrator lets a tenant use, at the front of the whole program.
@Suite(.timeLimit(.minutes(2))) struct UpLimitsTests {
  private static let password = "correct horse battery staple"

  @Test func `A tenant has what it may have and no more, and is told when to ask again`() async throws {
    let up = try UpProcess()
    defer { up.end() }
    #expect(try up.godwit(["tenant", "add", "acme"]).status == 0)
    let ca = try String(contentsOfFile: up.facts.ca, encoding: .utf8)
    func client(_ token: String) throws -> RESTClient {
      try RESTClient(name: "godwit", endpoint: .web(url: up.facts.url, ca: ca)) { "Bearer " + token }
    }
    let admin = try client(up.facts.token)
    let usual: TenantLimits = try await admin.get("/v1/tenants/acme/limits")
    #expect(usual == TenantLimits())
    let limits = TenantLimits(requests: 5, sources: 2, migrations: 1, launches: 1)
    _ = try await admin.put("/v1/tenants/acme/limits", limits, as: TenantLimits.self)

    let invitation = try up.godwit(["user", "invite", "boss@acme.example", "--role", "owner"]).output
    _ = try up.godwit(["user", "accept", "--name", "B"], token: "none", input: "\(invitation)\n\(Self.password)\n")
    let boss = try up.godwit(["sign-in", "boss@acme.example"], token: "none", input: Self.password + "\n").output
    for _ in 0..<2 { #expect(try up.godwit(["source", "add"], token: boss).status == 0) }
    let third = try up.godwit(["source", "add"], token: boss)
    #expect(third.status == 1 && third.output.contains("quota_reached"), "\(third.output)")
    let own = try client(boss)
    await #expect(throws: Problem.self) {
      _ = try await own.put("/v1/tenants/acme/limits", TenantLimits(), as: TenantLimits.self)
    }

    var refused: Problem?
    for _ in 0..<50 where refused == nil {
      do {
        _ = try await own.get("/v1/tenants/acme/sources", as: MigrationAPI.Page<MigrationAPI.Source>.self)
      } catch let problem as Problem { refused = problem }
    }
    #expect(refused?.status == 429 && refused?.code == "rate_limited" && refused?.retryAfter == 1)
    try await Task.sleep(for: .seconds(1))
    let page: MigrationAPI.Page<MigrationAPI.Source> = try await own.get("/v1/tenants/acme/sources")
    #expect(page.items.isEmpty)
    // Of two who have read the same, one is told.
    let stale = try await changed(up.facts, ca, tag: "\"AAAAAAAAAAAAAAAAAAAAAA\"")
    #expect(stale == 412)
    #expect(try await changed(up.facts, ca, tag: "*") == 200)
  }

  private func changed(_ facts: UpProcess.Facts, _ ca: String, tag: String) async throws -> Int {
    let client = try RESTClient(name: "godwit", endpoint: .web(url: facts.url, ca: ca)) {
      "Bearer " + facts.token
    }
    do {
      _ = try await client.send(
        .PATCH, "/v1/tenants/acme", body: .init(string: #"{"name":"Acme"}"#), headers: ["If-Match": tag])
      return 200
    } catch let problem as Problem { return problem.status }
  }
}
