import Fakes
import Foundation
import ServiceKit
import Testing
import Wire

/// Several processes of one service on one database.
@Suite(.timeLimit(.minutes(3)), .serialized) struct SharedWorkersTests {
  @Test func `Two migration services share their work; one is killed again and again, and nothing is lost or doubled`()
    async throws
  {
    try await ServedPlatform.with { platform, admin in
      var settings = platform.settings("migration")
      let url = "127.0.0.1:\(try ControlPlane.freePort())"
      settings["listen"] = url
      try platform.write("second", settings)
      try platform.start("migration", as: "second", config: platform.configuration("second"))

      let (owner, agent) = (Owner(plane: platform.plane), SimulatedAgent(platform.plane))
      let migration = try await owner.begin(agent)
      let worked = try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        let second = try RESTClient(name: "second", endpoint: .web(url: "http://" + url, ca: nil))
        var worked = 0
        for round in 0..<6 {
          let sync: MigrationAPI.Sync = try await owner.post(
            "migrations/\(migration.id)/syncs", MigrationAPI.SyncWish())
          try await Task.sleep(for: .milliseconds(700 + 250 * round))
          let metrics = String(decoding: try await second.bytes("/metrics"), as: UTF8.self)
          worked += metrics.contains("godwit_workflow_steps_total{") ? 1 : 0
          platform.kill("second")
          let ended = try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.endedAt != nil }
          #expect(ended.problem == nil)
          try platform.start("migration", as: "second", config: platform.configuration("second"))
        }
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
        return worked
      }
      #expect(worked > 0, "the one that was killed had never anything to do")
      // What retention lets go is removed after the sync has ended.
      _ = try await owner.until("migrations/\(migration.id)/points", as: MigrationAPI.Page<MigrationAPI.Point>.self) {
        $0.items.count == 2
      }
      let made = try await admin.log().filter { $0.effect?.hasPrefix("created") == true }.map(\.id)
      #expect(made.count >= 2 + 7 * 2, "2 volumes, and their snapshots at each of 7 points")
      #expect(Set(made).count == made.count)
    }
  }
}
