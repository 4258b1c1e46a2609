import Fakes
import Foundation
import Machines
import NIOCore
import NIOHTTP1
import Providers
import ServiceKit
import Source
import Synchronization
import Testing
import Wire

/// What the platform itself must withstand or refuse.
@Suite(.timeLimit(.minutes(3)), .serialized) struct PlatformFaultTests {
  /// A copied machine brings the agent's key along: both run the agent's own service with one identity.
  @Test func `An identity seen twice is refused and reported until the owner clears it`() async throws {
    try await Platform.with { platform in
      let file = platform.plane.folder + "/source.raw"
      _ = FileManager.default.createFile(atPath: file, contents: Data(count: 1 << 20))
      let identity = try await platform.enrol(
        token: try await platform.token(), connection: platform.connection,
        disk: OneDiskMachine.disk("file", size: 1 << 20))
      let machine = OneDiskMachine(try TrackedFile(path: file))
      let owner = platform.owner
      let path = "sources/\(identity.credential.source)"
      try await platform.withAgent(identity, machine) {
        _ = try await owner.until(path, as: MigrationAPI.Source.self) { $0.online }
        try await platform.withAgent(identity, machine) {
          let seen = try await owner.until(path, as: MigrationAPI.Source.self) { $0.problem != nil }
          #expect(seen.problem?.code == "identity_twice")
          #expect(seen.problem?.remedy.contains("Switch the copy off") == true)
          let events = try await owner.get("events", as: MigrationAPI.Page<MigrationAPI.Event>.self)
          #expect(events.items.contains { $0.code == "identity_twice" })
          // Neither of them is given work.
          let migration = try await platform.migration(of: identity)
          try await Task.sleep(for: .seconds(3))
          #expect(try await owner.points(migration.id).isEmpty)
        }
      }
      _ = try await owner.post(path + "/clear", as: MigrationAPI.Source.self)
      try await platform.withAgent(identity, machine) {
        let migrations = try await owner.get("migrations", as: MigrationAPI.Page<MigrationAPI.Migration>.self)
        let id = try #require(migrations.items.first?.id)
        _ = try await owner.until("migrations/\(id)", as: MigrationAPI.Migration.self, seconds: 90) {
          $0.state == .insync
        }
      }
    }
  }

  @Test func `A provider that fails at snapshots is asked again, then told of, and the last point stays`()
    async throws
  {
    try await ControlPlane.test { plane, admin in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        var faults = Faults()
        faults.failingSnapshots = 2
        try await admin.set(faults)
        try await owner.sync(migration.id)
        #expect(try await owner.points(migration.id).count == 2)
        #expect(try await admin.hits().snapshots == 2)

        faults.failingSnapshots = 1_000_000
        try await admin.set(faults)
        try await owner.sync(migration.id)
        let failed = try await owner.migration(migration.id) { $0.state == .attention }
        #expect(failed.problem?.code == "snapshot_failed")
        #expect(failed.problem?.remedy.contains("The last point stays good") == true)
        #expect(try await owner.points(migration.id).count == 2)

        // A final one is not given up, since the source is off: it is told, and goes on by itself.
        try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
        _ = try await owner.migration(migration.id) { $0.problem?.code == "snapshot_failed" && $0.state == .switching }
        try await admin.set(Faults())
        let switched = try await owner.migration(migration.id) { $0.switchedAt != nil }
        #expect(switched.problem == nil)
        try await owner.order("migrations/\(migration.id)/finish")
        _ = try await owner.migration(migration.id) { $0.state == .done }
        try await group.waitForAll()
      }
      // What failed was removed, too.
      var left = try await owner.ledger().filter { $0.kind == .snapshot }
      for _ in 0..<200 where left.count > 2 {
        try await Task.sleep(for: .milliseconds(30))
        left = try await owner.ledger().filter { $0.kind == .snapshot }
      }
      #expect(left.count == 2, "\(left)")
    }
  }

  @Test func `A switch that is aborted leaves the source running and in sync`() async throws {
    try await ControlPlane.test { plane, admin in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      try await withThrowingTaskGroup(of: Void.self) { group in
        let migration = try await owner.begin(agent)
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        agent.state.withLock { $0.holdsFinal = true }
        try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
        _ = try await owner.until("migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self) {
          $0.items.first?.final == true && $0.items.first?.progress != nil
        }
        try await owner.order("migrations/\(migration.id)/switch/abort")
        let aborted = try await owner.migration(migration.id) { $0.state == .insync }
        #expect(aborted.problem == nil && aborted.switchedAt == nil)
        #expect(try await owner.points(migration.id).count == 1)
        #expect(try await owner.ledger().filter { $0.kind == .machine }.isEmpty)
        let again = await #expect(throws: Problem.self) {
          try await owner.post("migrations/\(migration.id)/switch/abort", as: MigrationAPI.Migration.self)
        }
        #expect(again?.status == 409 && again?.remedy.contains("roll back") == true)
        agent.state.withLock { $0.holdsFinal = false }
        try await owner.sync(migration.id)
        #expect(try await owner.points(migration.id).count == 2)
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
    }
  }

  @Test func `A greeting on the port that was asked for proves a start; a test that has expired is removed`()
    async throws
  {
    try await ControlPlane.test(running: false) { plane, admin in
      let clock = TestClock()
      try await plane.whileRunning(plane.services(now: { clock.now })) {
        let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
        let migration = try await owner.begin(agent)
        async let first: Void = agent.run()
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        agent.state.withLock { $0.ended = true }
        try await first
        try await admin.set(ConsoleScripts(guest: "[    0.000000] Linux version\r\n"))
        let launch: MigrationAPI.Launch = try await owner.post(
          "migrations/\(migration.id)/launches",
          MigrationAPI.LaunchWish(expiresIn: 600, ports: [2222], successPort: 2222))
        let machine = try await Self.machine(owner, launch.id)
        let address = try #require(machine.forwards.first { $0.guestPort == 2222 }?.address)
        try await Task.sleep(for: .seconds(1))
        let quiet: MigrationAPI.Launch = try await owner.get("launches/\(launch.id)")
        #expect(quiet.state == .starting, "a machine that says nothing has not started: \(quiet)")
        try await Greeter.with(address: address, line: "SSH-2.0-test\r\n") {
          let running = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) {
            $0.state == .running || $0.problem != nil
          }
          #expect(running.proof?.passed == true)
          #expect(running.proof?.verdict == "port 2222 greets with 'SSH-2.0-test'")
        }
        clock.advance(by: 601)
        _ = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .removed }
        let left = try await owner.ledger()
        #expect(left.filter { $0.kind == .machine }.isEmpty)
        #expect(left.filter { $0.kind == .volume }.map(\.id).sorted() == migration.disks.map(\.volume).sorted())
      }
    }
  }

  private static func machine(_ owner: Owner, _ launch: String) async throws -> CloudsAPI.Machine {
    for _ in 0..<600 {
      let path = owner.path("machines/\(launch)-m")
      if let found: CloudsAPI.Machine = try await owner.clouds.find(path), !found.forwards.isEmpty { return found }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw Owner.TookTooLong(description: "there is no machine of \(launch)")
  }

  /// Every route of the migration service that names something, asked by another tenant about an id that exists.
  @Test func `What belongs to another tenant does not exist, on every route`() async throws {
    try await ControlPlane.test { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      try await withThrowingTaskGroup(of: Void.self) { group in
        let migration = try await owner.begin(agent)
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        let syncs = try await owner.get(
          "migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self)
        let points = try await owner.points(migration.id)
        let launch: MigrationAPI.Launch = try await owner.post(
          "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish())
        let (sync, point) = (try #require(syncs.items.first?.id), try #require(points.first?.id))
        let routes: [(HTTPMethod, String, String)] = [
          (.GET, "migrations/\(migration.id)", ""), (.PATCH, "migrations/\(migration.id)", #"{"name":"stolen"}"#),
          (.DELETE, "migrations/\(migration.id)", ""), (.POST, "migrations/\(migration.id)/syncs", "{}"),
          (.POST, "migrations/\(migration.id)/switch", "{}"), (.POST, "migrations/\(migration.id)/switch/abort", "{}"),
          (.POST, "migrations/\(migration.id)/rollback", "{}"), (.POST, "migrations/\(migration.id)/finish", "{}"),
          (.GET, "migrations/\(migration.id)/syncs", ""), (.GET, "migrations/\(migration.id)/points", ""),
          (.GET, "migrations/\(migration.id)/launches", ""), (.GET, "migrations/\(migration.id)/events", ""),
          (.POST, "migrations/\(migration.id)/launches", "{}"), (.GET, "syncs/\(sync)", ""),
          (.GET, "points/\(point)", ""), (.GET, "launches/\(launch.id)", ""), (.DELETE, "launches/\(launch.id)", ""),
          (.GET, "launches/\(launch.id)/screenshot", ""), (.GET, "sources/\(migration.source)", ""),
          (.POST, "sources/\(migration.source)/clear", "{}"), (.DELETE, "sources/\(migration.source)", "")
        ]
        let stranger = Owner(plane: plane, tenant: "globex")
        for (method, path, body) in routes {
          let problem = await #expect(throws: Problem.self, "\(method) \(path)") {
            let bytes = body.isEmpty ? nil : ByteBuffer(string: body)
            _ = try await stranger.migration.send(method, stranger.path(path), body: bytes)
          }
          #expect(problem?.status == 404, "\(method) \(path): \(problem?.status ?? 0)")
          // Nor by naming the other tenant in the path.
          let forged = await #expect(throws: Problem.self, "\(method) \(path)") {
            let bytes = body.isEmpty ? nil : ByteBuffer(string: body)
            _ = try await stranger.migration.send(method, owner.path(path), body: bytes)
          }
          #expect([401, 403, 404].contains(forged?.status ?? 0), "\(method) \(path): \(forged?.status ?? 0)")
        }
        for list in ["migrations", "sources", "events"] {
          let bytes = try await stranger.migration.bytes(stranger.path(list))
          #expect(String(decoding: bytes, as: UTF8.self).contains(#""items":[]"#), "\(list)")
        }
        let seen: MigrationAPI.Migration = try await owner.get("migrations/\(migration.id)")
        #expect(seen.name == migration.name && seen.state != .done)
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
    }
  }
}
