import Fakes
import Foundation
import Gateway
import ServiceKit
import Source
import Testing
import Transport
import Wire

/// The records of the services are put back to a copy of an earlier time, while agent, gateway and cloud are not.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RestoredRecordsTests {
  /// - Parameter isRunning: the copy is of a moment when a sync was under way, which has ended since.
  @Test(arguments: [false, true])
  func `No point is claimed that is not there, nothing is deleted, and the next sync compares`(isRunning: Bool)
    async throws
  {
    try await RecordsStage.with { stage in
      let (platform, owner) = (stage.platform, stage.platform.owner)
      let file = try TrackedFile(path: stage.source)
      let machine = OneDiskMachine(file)
      try file.write([UInt8](repeating: 1, count: 1 << 20), at: 1 << 20)
      let (identity, migration, first) = try await stage.whileRunning {
        let identity = try await stage.enrol()
        let migration = try await platform.migration(of: identity)
        let first = try await platform.withAgent(identity, machine) {
          _ = try await owner.migration(migration.id) { $0.state == .insync && $0.activeSync == nil }
          return try await owner.points(migration.id)[0]
        }
        if isRunning {
          // Its command is given, and nobody is there to hear it.
          let sync: MigrationAPI.Sync = try await owner.post(
            "migrations/\(migration.id)/syncs", MigrationAPI.SyncWish(mode: nil))
          _ = try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.state == .running }
        }
        return (identity, migration, first)
      }
      try await stage.keep()
      try await stage.whileRunning {
        try await platform.withAgent(identity, machine) {
          for round in 0..<4 {
            try file.write([UInt8](repeating: UInt8(round), count: 4096), at: UInt64(round) * 65_536)
            #expect(try await platform.sync(migration.id).state == .done)
          }
          // The oldest is pruned, also at the target.
          _ = try await owner.until(
            "migrations/\(migration.id)/points", as: MigrationAPI.Page<MigrationAPI.Point>.self
          ) { $0.items.count == 3 && !$0.items.contains { $0.id == first.id } }
          while try await owner.ledger().contains(where: { $0.state == "deleting" }) {
            try await Task.sleep(for: .milliseconds(20))
          }
        }
      }
      try await stage.putBack()
      // As if it were an hour later for the services; the proofs allow less, so it is a minute and a half.
      platform.clock.advance(by: 90)
      let before = try await platform.admin.log().filter { $0.effect?.hasPrefix("deleted") == true }.count
      try await stage.whileRunning {
        try await platform.withAgent(identity, machine) {
          try file.write([UInt8](repeating: 77, count: 4096), at: 3 << 20)
          if isRunning {
            _ = try await owner.migration(migration.id) { $0.activeSync == nil && $0.problem != nil }
          } else {
            #expect(try await platform.sync(migration.id).problem?.code == "records_put_back")
          }
          let noted = try await owner.get("migrations/\(migration.id)", as: MigrationAPI.Migration.self)
          #expect(noted.problem?.code == "records_put_back", "\(String(describing: noted.problem))")
          let points = try await owner.points(migration.id)
          #expect(points.map(\.id) == [first.id] && points.first?.check?.problem?.code == "point_missing", "\(points)")
          let refused = await #expect(throws: Problem.self) {
            _ = try await owner.post(
              "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(point: first.id),
              as: MigrationAPI.Launch.self)
          }
          #expect(refused?.code == "point_missing")
          let events = try await owner.events(migration.id)
          #expect(events.contains("point_missing") && events.contains("objects_unknown"), "\(events)")
          let leaks = try await owner.clouds.get(owner.path("leaks"), as: CloudsAPI.Leaks.self)
          #expect(leaks.unaccounted.count == 3 && leaks.unaccounted.allSatisfy { $0.kind == .snapshot }, "\(leaks)")

          let compare = try await platform.sync(migration.id)
          #expect(compare.state == .done && compare.progress?.mode == .compare, "\(compare)")
          #expect(
            try Data(contentsOf: URL(filePath: platform.replica(migration)))
              == Data(contentsOf: URL(filePath: stage.source)))
          let next = try await platform.sync(migration.id)
          #expect(next.state == .done && next.progress?.mode == .delta, "\(next)")
          #expect(try await owner.points(migration.id).count == 3)
        }
      }
      let after = try await platform.admin.log().filter { $0.effect?.hasPrefix("deleted") == true }.count
      #expect(after == before, "nothing was deleted")
    }
  }
}
