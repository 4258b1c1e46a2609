import Foundation
import ServiceKit
import Testing
import Wire

/// `godwit backup` of what runs, and `godwit restore` of what was destroyed.
@Suite(.timeLimit(.minutes(3)), .serialized) struct PlatformBackupTests {
  @Test func `Backed up in the middle of a sync, destroyed and put back, a migration goes on`() async throws {
    try await RecordsStage.with { stage in
      let (platform, owner, folder) = (stage.platform, stage.platform.owner, stage.platform.plane.folder)
      let file = try TrackedFile(path: stage.source)
      let machine = OneDiskMachine(file)
      try file.write([UInt8](repeating: 1, count: 1 << 20), at: 1 << 20)
      let key = platform.lab.folder + "/backup.key"
      try PrivateFile.write(Secret.bytes(32), to: key)
      let out = platform.lab.folder + "/platform.backup"
      let (identity, migration) = try await stage.whileRunning {
        let identity = try await stage.enrol()
        let migration = try await platform.migration(of: identity)
        try await platform.withAgent(identity, machine) {
          _ = try await owner.migration(migration.id) { $0.state == .insync && $0.activeSync == nil }
        }
        // Its command is given while nobody is there to hear it: the sync is under way in the backup.
        let sync: MigrationAPI.Sync = try await owner.post(
          "migrations/\(migration.id)/syncs", MigrationAPI.SyncWish(mode: nil))
        _ = try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.state == .running }
        let made = try Served.run(["backup", "--state", folder, "--out", out, "--key-file", key])
        #expect(made.status == 0 && made.output.contains("2 databases"), "\(made.output)")
        try await platform.withAgent(identity, machine) {
          let ended = try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.endedAt != nil }
          #expect(ended.problem == nil)
          try file.write([UInt8](repeating: 2, count: 4096), at: 2 << 20)
          #expect(try await platform.sync(migration.id).state == .done)
        }
        return (identity, migration)
      }
      let restored = folder + "/restored"
      let refused = try Served.run(["restore", out, "--state", restored, "--key-file", folder + "/front.key"])
      #expect(refused.status == 1 && refused.output.contains("cannot be opened"), "\(refused.output)")
      for name in ["migration.key", "front.key", "gateway.key"] {
        try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      }
      let put = try Served.run(["restore", out, "--state", restored, "--key-file", key])
      #expect(put.status == 0 && put.output.contains("2 databases"), "\(put.output)")
      for name in ["migration.key", "front.key", "gateway.key"] {
        try FileManager.default.moveItem(atPath: "\(restored)/\(name)", toPath: "\(folder)/\(name)")
      }
      // Whatever there was of records is removed by this.
      try await stage.putBack(from: "/restored")
      platform.clock.advance(by: 90)
      try await stage.whileRunning {
        try await platform.withAgent(identity, machine) {
          try file.write([UInt8](repeating: 3, count: 4096), at: 3 << 20)
          _ = try await owner.migration(migration.id) { $0.activeSync == nil && $0.problem != nil }
          let noted = try await owner.get("migrations/\(migration.id)", as: MigrationAPI.Migration.self)
          #expect(noted.problem?.code == "records_put_back", "\(String(describing: noted.problem))")
          let compare = try await platform.sync(migration.id)
          #expect(compare.state == .done && compare.progress?.mode == .compare, "\(compare)")
          #expect(
            try Data(contentsOf: URL(filePath: platform.replica(migration)))
              == Data(contentsOf: URL(filePath: stage.source)))
          #expect(try await platform.sync(migration.id).state == .done)
        }
      }
    }
  }

  @Test func `A whole platform comes back: who may do what, its audit, its licences, its addresses`() async throws {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (home, out) = (["HOME": folder], folder + "/platform.backup")
    var facts: [[String: String]] = []
    for round in 1...2 {
      let platform = try Served(
        [
          "up", "--state", folder + "/state", "--listen", "127.0.0.1:0", "--without-gateway", "--without-hypervisor"
        ], log: folder + "/up.log", environment: home)
      defer { platform.end(SIGKILL) }
      facts.append(try JSONDecoder().decode([String: String].self, from: try platform.firstOutput()))
      func godwit(_ arguments: String...) throws -> String {
        let answer = try Served.run(arguments, environment: home)
        #expect(answer.status == 0, "\(arguments): \(answer.output)")
        return answer.output
      }
      if round == 1 {
        _ = try godwit("tenant", "add", "acme")
        _ = try godwit("licence", "issue", "acme", "--seats", "3", "--days", "30")
        try PrivateFile.write(Secret.bytes(32), to: folder + "/key")
        for _ in 0..<50 where !(try godwit("audit", "list", "--tenant", "acme").contains("licence lic-")) {
          try await Task.sleep(for: .milliseconds(200))
        }
        let made = try godwit("backup", "--state", folder + "/state", "--out", out, "--key-file", folder + "/key")
        #expect(made.contains(" databases and "), "\(made)")
        // Made after the backup: forgotten.
        _ = try godwit("tenant", "add", "globex")
      }
      let tenants = try godwit("tenant", "list")
      #expect(tenants.contains("acme") && tenants.contains("globex") == (round == 1))
      #expect(try godwit("licence", "list", "--tenant", "acme").contains("standard"))
      #expect(
        try godwit("audit", "verify", "--key", folder + "/state/keys/operations.key.pub").contains("is whole"))
      platform.end(SIGKILL)
      guard round == 1 else { continue }
      try FileManager.default.removeItem(atPath: folder + "/state")
      _ = try godwit("restore", out, "--state", folder + "/state", "--key-file", folder + "/key")
    }
    #expect(facts[0] == facts[1], "address and token are the same")
  }
}
