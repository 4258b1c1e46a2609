import Foundation
import ServiceKit
import Testing
import Wire

/// `godwit serve`: each service a process, speaking REST to the others.
@Suite(.timeLimit(.minutes(3)), .serialized) struct ServeTests {
  @Test func `A migration goes on through services of their own that are killed one after the other`() async throws {
    try await ServedPlatform.with { platform, admin in
      let (owner, agent) = (Owner(plane: platform.plane), SimulatedAgent(platform.plane))
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        for service in ServedPlatform.services {
          let sync: MigrationAPI.Sync = try await owner.post(
            "migrations/\(migration.id)/syncs", MigrationAPI.SyncWish())
          platform.kill(service)
          try await Task.sleep(for: .milliseconds(300))
          try platform.start(service)
          let ended = try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.endedAt != nil }
          #expect(ended.problem == nil, "after the kill of \(service)")
        }
        // What retention lets go is removed after the sync has ended.
        _ = try await owner.until("migrations/\(migration.id)/points", as: MigrationAPI.Page<MigrationAPI.Point>.self) {
          $0.items.count == 2
        }
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
      // The same through the front, by the command line.
      let token = try AdminToken.open(file: platform.plane.folder + "/admin.token").text
      let status = ["migrate", "status", "--server", platform.url("front"), "--tenant", "acme", "--json"]
      // Not this user's own settings.
      let home = ["HOME": platform.plane.folder]
      let shown = try Served.run(status + ["--token", token], environment: home)
      #expect(shown.status == 0 && shown.output.contains(migration.id), "\(shown.output)")
      let stranger = try Served.run(status + ["--token", "wrong"], environment: home)
      #expect(stranger.status == 1 && stranger.output.contains("token_refused"))
      for service in ServedPlatform.services { #expect(platform.stop(service) == 0, "\(service)") }
    }
  }

  @Test func `A second clouds service on the same folder is refused`() async throws {
    try await ServedPlatform.with { platform, _ in
      var settings = platform.settings("clouds")
      settings["listen"] = "127.0.0.1:\(try ControlPlane.freePort())"
      try platform.write("second", settings)
      let second = try Served.run(["serve", "clouds", "--config", platform.configuration("second")])
      #expect(second.status == 2)
      #expect(second.output.contains("Another clouds service runs on \(platform.plane.folder)/clouds"))
    }
  }

  struct Bad: CustomTestStringConvertible, Sendable {
    var change: [String: String?]
    var said: [String]
    var environment: [String: String] = [:]
    var testDescription: String { said[0] }
  }

  @Test(arguments: [
    Bad(
      change: ["clouds-url": nil],
      said: ["'clouds-url' is missing", "GODWIT_MIGRATION_CLOUDS_URL", "https://clouds.internal:8443"]),
    Bad(change: ["clouds-url": "http://10.0.0.1:80"], said: ["'clouds-url'", "neither encrypted", "https://HOST:PORT"]),
    Bad(change: ["listen": "0.0.0.0:8101"], said: ["'listen'", "without TLS", "Give a certificate"]),
    Bad(change: ["listen": "nowhere"], said: ["'listen'", "no HOST:PORT"]),
    Bad(change: ["cluods-url": "x"], said: ["no setting 'cluods-url'", "clouds-url, "]),
    Bad(change: ["key-file": "/nonexistent"], said: ["'key-file'", "godwit key /nonexistent"]),
    Bad(change: ["callers": "front"], said: ["'callers'", "NAME:/PATH.pub"]),
    Bad(change: ["lease-seconds": "soon"], said: ["'lease-seconds'", "no number of seconds"]),
    Bad(change: ["tls-key": "/etc/hostname"], said: ["'tls-key'"]),
    Bad(change: ["state": "relative", "public-url": nil], said: ["'state'", "'public-url' is missing"]),
    Bad(change: [:], said: ["'log-level'", "loud"], environment: ["GODWIT_MIGRATION_LOG_LEVEL": "loud"])
  ]) func `Settings that are not good end with status 2 and say which, and what to do`(_ bad: Bad) async throws {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var plane = ControlPlane(folder: folder, endpoint: "http://127.0.0.1:1")
    plane.gatewayURL = "http://127.0.0.1:1"
    let platform = try ServedPlatform(plane)
    let good = try Served.run(["serve", "migration", "--check", "--config", platform.configuration("migration")])
    #expect(good.status == 0, "\(good.output)")
    var settings: [String: String?] = platform.settings("migration")
    for (name, value) in bad.change { settings[name] = value }
    try platform.write("migration", settings.compactMapValues { $0 })
    let ended = try Served.run(
      ["serve", "migration", "--config", platform.configuration("migration")], environment: bad.environment)
    #expect(ended.status == 2)
    for part in bad.said { #expect(ended.output.contains(part), "\(ended.output)") }
  }

  @Test func `A line that is no setting, and a file that is not there, are named`() throws {
    let missing = try Served.run(["serve", "front", "--config", "/nonexistent/front"])
    #expect(missing.status == 2 && missing.output.contains("There is no file /nonexistent/front"))
  }
}
