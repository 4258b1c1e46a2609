import Foundation
import NIOHTTP1
import NIOCore
import ServiceKit
import Testing
import Wire

/// The audit over services that are processes, and as operators check it.
@Suite(.timeLimit(.minutes(3)), .serialized) struct AuditTests {
  @Test func `What was asked is audited once, though services are killed; the audit is checked from outside`()
    async throws
  {
    try await ServedPlatform.with { platform, _ in
      let (owner, agent) = (Owner(plane: platform.plane), SimulatedAgent(platform.plane))
      let migration = try await owner.begin(agent)
      // Nobody takes events for a while, and who has them is killed.
      platform.kill("operations")
      for number in 0..<5 {
        let change = MigrationAPI.MigrationChange(name: "web-\(number)")
        _ = try await owner.migration.send(
          .PATCH, owner.path("migrations/\(migration.id)"), body: .init(bytes: try JSONEncoder().encode(change)))
      }
      platform.kill("migration")
      try platform.start("migration")
      try platform.start("operations")
      let token = try AdminToken.open(file: platform.plane.folder + "/admin.token").text
      let refused = try Served.run(
        ["migrate", "finish", migration.id] + Self.access(platform, token), environment: Self.home(platform))
      #expect(refused.status == 1, "\(refused.output)")

      let entries = try await Self.entries(platform, token) { $0.contains { $0.event.outcome == .refused } }
      #expect(Set(entries.map(\.event.id)).count == entries.count)
      #expect(entries.filter { $0.event.action == "PATCH /v1/tenants/{tenant}/migrations/{id}" }.count == 5)
      let created = try #require(entries.first { $0.event.action == "POST /v1/tenants/{tenant}/migrations" })
      #expect(created.event.object == "migration \(migration.id)" && created.event.outcome == .done)
      let enrolled = try #require(entries.first { $0.event.action == "POST /v1/enrolments" })
      #expect(enrolled.event.actor == "agent:" + agent.key.thumbprint && enrolled.event.tenant == "acme")
      let finish = try #require(entries.first { $0.event.outcome == .refused })
      #expect(finish.event.actor == "admin" && finish.event.from == "127.0.0.1" && finish.event.request != nil)

      try await Self.verify(platform, token, count: entries.count)
    }
  }

  /// By the command line: over REST, on the file, and on copies that were tampered with.
  private static func verify(_ platform: ServedPlatform, _ token: String, count: Int) async throws {
    let key = platform.plane.folder + "/operations.key.pub"
    let overREST = try Served.run(
      ["audit", "verify", "--key", key] + access(platform, token), environment: home(platform))
    #expect(overREST.status == 0 && overREST.output.contains("The audit is whole"), "\(overREST.output)")
    let stranger = try Served.run(["audit", "verify"] + access(platform, "wrong"), environment: home(platform))
    #expect(stranger.status == 1 && stranger.output.contains("token_refused"))

    #expect(platform.stop("operations") == 0)
    let file = platform.plane.folder + "/operations/operations.sqlite"
    let whole = try Served.run(["audit", "verify", "--file", file, "--key", key])
    #expect(whole.status == 0, "\(whole.output)")
    let other = try Served.run(["audit", "verify", "--file", file, "--key", platform.plane.folder + "/front.key.pub"])
    #expect(other.status == 1 && other.output.contains("not signed by the operations service"), "\(other.output)")

    // A process may end before it has brought its log of writes into the file.
    try run(
      "python3", "-c",
      "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')", file)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    let place = try #require(bytes.range(of: Data(#""actor":"agent:"#.utf8)))
    bytes[place.lowerBound + 12] ^= 1
    try bytes.write(to: URL(fileURLWithPath: file + ".changed"))
    let changed = try Served.run(["audit", "verify", "--file", file + ".changed", "--key", key])
    #expect(changed.status == 1 && changed.output.contains("was changed"), "\(changed.output)")

    // The head in the log is an anchor: what the file says of itself is then not believed alone.
    let log = try String(contentsOfFile: platform.plane.folder + "/operations.log", encoding: .utf8)
    let line = try #require(log.split(separator: "\n").last { $0.contains("\"audit.head\"") })
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
    let anchored = try Served.run([
      "audit", "verify", "--file", file, "--key", key, "--anchor", try #require(fields["audit.head"])
    ])
    #expect(anchored.status == 0, "\(anchored.output)")
  }

  private static func access(_ platform: ServedPlatform, _ token: String) -> [String] {
    ["--server", platform.url("front"), "--token", token, "--tenant", "acme"]
  }

  /// Not this user's own settings.
  private static func home(_ platform: ServedPlatform) -> [String: String] { ["HOME": platform.plane.folder] }

  /// The tenant's entries by `godwit audit list`, once they are what is waited for.
  private static func entries(
    _ platform: ServedPlatform, _ token: String, until holds: ([AuditAPI.Entry]) -> Bool
  ) async throws -> [AuditAPI.Entry] {
    for _ in 0..<150 {
      let listed = try Served.run(
        ["audit", "list", "--last", "500", "--json"] + access(platform, token), environment: home(platform))
      if listed.status == 0 {
        let entries = try JSONDecoder().decode([AuditAPI.Entry].self, from: Data(listed.output.utf8))
        if holds(entries) { return entries }
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    throw Owner.TookTooLong(description: "the audit stayed without what was waited for")
  }
}
