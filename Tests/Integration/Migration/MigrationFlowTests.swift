import Fakes
import Foundation
import Machines
import NIOHTTP1
import ServiceKit
import Synchronization
import Testing
import Wire

@Suite(.timeLimit(.minutes(3)), .serialized)
struct MigrationFlowTests {
  @Test func `A migration goes from enrolment to the end, and leaves only what is the tenant's`() async throws {
    try await ControlPlane.test { plane, admin in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      #expect(migration.state == .connecting)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        for _ in 0..<3 { try await owner.sync(migration.id) }
        // Pruning follows the point.
        let points = try await owner.until(
          "migrations/\(migration.id)/points", as: MigrationAPI.Page<MigrationAPI.Point>.self
        ) { $0.items.count == 2 }.items
        // A test of the older point keeps it from being pruned.
        let launch: MigrationAPI.Launch = try await owner.post(
          "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(point: points[1].id))
        let running = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) {
          $0.state == .running || $0.problem != nil
        }
        #expect(running.proof?.passed == true)
        #expect(running.proof?.screenshot == true)
        #expect(running.repair?.verdict == .ready)
        #expect(running.forwards.map(\.guestPort) == [22])
        #expect(try await owner.get("migrations/\(migration.id)", as: MigrationAPI.Migration.self).state == .ready)
        for _ in 0..<2 { try await owner.sync(migration.id) }
        #expect(try await owner.points(migration.id).map(\.id).contains(points[1].id))
        _ = try await owner.migration.send(.DELETE, owner.path("launches/\(launch.id)"))
        _ = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .removed }
        #expect(try await owner.ledger().filter { $0.kind == .machine }.isEmpty)

        let asked: MigrationAPI.Migration = try await owner.post(
          "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
        #expect(asked.state == .switching)
        let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
        #expect(switched.problem == nil)
        try await group.waitForAll()
        let done: MigrationAPI.Migration = try await owner.post("migrations/\(migration.id)/finish")
        #expect(done.state == .switching)
      }
      _ = try await owner.migration(migration.id) { $0.state == .done }
      _ = try await owner.until("migrations/\(migration.id)/launches", as: MigrationAPI.Page<MigrationAPI.Launch>.self)
      {
        $0.items.first?.state == .handedOver
      }
      try await expectHandedOver(owner, admin)
    }
  }

  @Test func `A rollback stops the target, waits for the source, and compares`() async throws {
    try await ControlPlane.test { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      async let first: Void = agent.run()
      _ = try await owner.migration(migration.id) { $0.state == .insync }
      _ = try await owner.post(
        "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish(), as: MigrationAPI.Migration.self)
      _ = try await owner.migration(migration.id) { $0.switchedAt != nil }
      try await first
      // The source comes back on its own: a split brain.
      agent.state.withLock { ($0.ended, $0.instance) = (false, "boot-2") }
      _ = try await agent.commands(wait: 0)
      _ = try await owner.migration(migration.id) { $0.problem?.code == "split_brain" }
      let asked: MigrationAPI.Migration = try await owner.post("migrations/\(migration.id)/rollback")
      #expect(asked.rollbackStatement?.contains("is not on the source") == true)
      _ = try await owner.migration(migration.id) { $0.problem?.code == "start_the_source" }
      let machines = try await owner.clouds.get(
        owner.path("machines/\(asked.switchLaunch ?? "")-m"), as: CloudsAPI.Machine.self)
      #expect(machines.state == .stopped)
      try await Task.sleep(for: .seconds(1))
      async let second: Void = agent.run()
      let back = try await owner.migration(migration.id) { $0.state == .insync && $0.activeSync == nil }
      #expect(back.switchedAt == nil)
      let syncs = try await owner.until(
        "migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self
      ) { $0.items.first?.mode == .compare && $0.items.first?.state == .done }
      #expect(syncs.items.count == 3)
      _ = try await owner.insisting {
        try await owner.migration.send(.DELETE, owner.path("migrations/\(migration.id)"))
      }
      _ = try await owner.migration(migration.id) { $0.state == .done }
      try await second
      #expect(try await gone(owner), "everything of a removed migration goes")
    }
  }

  @Test func `A test that does not boot leaves its proof and nothing else`() async throws {
    try await ControlPlane.test { plane, admin in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        try await admin.set(
          ConsoleScripts(guest: "Begin: ... done.\r\nGave up waiting for root file system device.\r\n"))
        let broken: MigrationAPI.Launch = try await owner.post(
          "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish())
        let failed = try await owner.until("launches/\(broken.id)", as: MigrationAPI.Launch.self) {
          $0.state == .failed
        }
        #expect(failed.problem?.code == "boot_failed")
        #expect(failed.proof?.console.contains("Gave up waiting for root") == true)
        #expect(failed.proof?.screenshot == true)

        let refused = RepairReport(
          verdict: .refused, firmware: .bios, findings: [:], edits: [],
          problems: [.init(code: "no_root_filesystem", message: "There is no root.", remedy: "Add one.")],
          applied: false)
        try await admin.set(ConsoleScripts(appliance: ConsoleScripts.report(refused)))
        let hopeless: MigrationAPI.Launch = try await owner.post(
          "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish())
        let second = try await owner.until("launches/\(hopeless.id)", as: MigrationAPI.Launch.self) {
          $0.state == .failed
        }
        #expect(second.problem?.code == "repair_refused")
        #expect(second.problem?.remedy == "Add one.")
        let left = try await owner.ledger()
        #expect(left.filter { $0.kind == .machine }.isEmpty)
        #expect(left.filter { $0.kind == .volume }.map(\.id).sorted() == migration.disks.map(\.volume))
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
    }
  }

  @Test func `A failed sync keeps the last point, and a forged receipt is no point`() async throws {
    try await ControlPlane.test { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        agent.state.withLock { $0.failure = .init(code: "disk_read_error", message: "sda: I/O error") }
        try await owner.sync(migration.id)
        let failed = try await owner.migration(migration.id) { $0.state == .attention }
        #expect(failed.problem?.code == "disk_read_error")
        agent.state.withLock { ($0.failure, $0.forge) = (nil, true) }
        try await owner.sync(migration.id)
        _ = try await owner.migration(migration.id) { $0.problem?.code == "receipt_refused" }
        #expect(try await owner.points(migration.id).count == 1)
        agent.state.withLock { $0.forge = false }
        try await owner.sync(migration.id)
        let mended = try await owner.migration(migration.id) { $0.state == .insync }
        #expect(mended.problem == nil)
        #expect(try await owner.points(migration.id).count == 2)
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
    }
  }

  @Test func `While leaves are known to differ nothing is switched; the next point mends them`() async throws {
    try await ControlPlane.test { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        // A sync that finds two leaves and breaks off before they are mended.
        agent.state.withLock {
          ($0.findings, $0.failure) = (
            ScrubFindings(compared: 9, differing: 2), .init(code: "gateway_refused", message: "gone")
          )
        }
        try await owner.sync(migration.id)
        let open = try await owner.migration(migration.id) { $0.scrub?.open == 2 && $0.activeSync == nil }
        #expect(open.scrub?.found == 2)
        let refused = await #expect(throws: Problem.self) {
          _ = try await owner.post(
            "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish(), as: MigrationAPI.Migration.self)
        }
        #expect(refused?.code == "mismatches_open")
        agent.state.withLock { ($0.findings, $0.failure) = (nil, nil) }
        try await owner.sync(migration.id)
        let mended = try await owner.migration(migration.id) { $0.scrub?.open == 0 }
        #expect(mended.scrub?.found == 2)
        let events = try await owner.events(migration.id)
        #expect(events.contains("mismatch_found") && events.contains("mismatches_mended"))
        _ = try await owner.post(
          "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish(), as: MigrationAPI.Migration.self)
        _ = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
        try await group.waitForAll()
      }
    }
  }

  /// Nothing of the owner's is left in the ledger.
  private func gone(_ owner: Owner) async throws -> Bool {
    for _ in 0..<200 {
      if try await owner.ledger().isEmpty { return true }
      try await Task.sleep(for: .milliseconds(30))
    }
    return false
  }
}

/// After a finish: one machine on its clones, and the snapshots they stand on.
func expectHandedOver(_ owner: Owner, _ admin: FakeCloudAdmin) async throws {
  var left = try await owner.ledger()
  for _ in 0..<200 where left.contains(where: { $0.state == "deleting" }) {
    try await Task.sleep(for: .milliseconds(30))
    left = try await owner.ledger()
  }
  #expect(left.filter { $0.kind == .machine }.count == 1)
  #expect(left.filter { $0.kind == .volume }.count == 2)
  #expect(left.filter { $0.kind == .snapshot }.count == 2)
  let leaks = try await owner.clouds.get(owner.path("leaks"), as: CloudsAPI.Leaks.self)
  #expect(leaks.unaccounted.isEmpty)
  #expect(leaks.missing.isEmpty)
  // The cloud's own log is the judge: nothing was made twice.
  let created = try await admin.log().filter { $0.effect?.hasPrefix("created") == true }
  #expect(Set(created.map(\.id)).count == created.count)
  let deleted = try await admin.log().filter { $0.effect?.hasPrefix("deleted") == true }
  #expect(created.count - deleted.count == 5)
}
