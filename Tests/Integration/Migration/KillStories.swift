import Fakes
import Foundation
import Machines
import NIOHTTP1
import ServiceKit
import Synchronization
import Testing
import Wire

/// What an owner does and sees while the control plane dies again and again.
enum KillStories {
  /// Copies, tests, switches and finishes.
  static func migrate(_ plane: ControlPlane, _ admin: FakeCloudAdmin) async throws {
    let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
    let migration = try await owner.begin(agent)
    async let end: Void = agent.run()
    _ = try await owner.migration(migration.id) { $0.state == .insync }
    for _ in 0..<2 { try await owner.sync(migration.id) }
    let launch: MigrationAPI.Launch = try await owner.post(
      "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(key: "the-test"))
    let running = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) {
      $0.state == .running || $0.problem != nil
    }
    #expect(running.problem == nil)
    try await owner.delete("launches/\(launch.id)")
    _ = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .removed }
    try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
    let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
    #expect(switched.problem == nil)
    try await end
    #expect(try await owner.points(migration.id).first?.final == true)
    try await owner.order("migrations/\(migration.id)/finish")
    _ = try await owner.migration(migration.id) { $0.state == .done }
    try await expectHandedOver(owner, admin)
    let once = ["test_passed": 1, "test_removed": 1, "switched": 1, "finished": 1, "point_recorded": 4]
    try await expect(once, owner, migration.id)
  }

  /// Switches, rolls back to the source, compares, and removes the migration.
  static func rollBack(_ plane: ControlPlane) async throws {
    let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
    let migration = try await owner.begin(agent)
    async let first: Void = agent.run()
    _ = try await owner.migration(migration.id) { $0.state == .insync }
    try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
    let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
    #expect(switched.problem == nil)
    try await first
    try await owner.order("migrations/\(migration.id)/rollback")
    _ = try await owner.migration(migration.id) { $0.problem?.code == "start_the_source" }
    let machine = try await owner.insisting {
      try await owner.clouds.get(
        owner.path("machines/\(switched.switchLaunch ?? "")-m"), as: CloudsAPI.Machine.self)
    }
    #expect(machine.state == .stopped)
    agent.state.withLock { ($0.ended, $0.instance) = (false, "boot-2") }
    async let second: Void = agent.run()
    let back = try await owner.migration(migration.id) { $0.state == .insync && $0.activeSync == nil }
    #expect(back.switchedAt == nil)
    _ = try await owner.until("migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self) {
      $0.items.first?.mode == .compare && $0.items.first?.state == .done
    }
    try await owner.delete("migrations/\(migration.id)")
    _ = try await owner.migration(migration.id) { $0.state == .done }
    try await second
    let once = ["switched": 1, "rolled_back": 1, "source_home": 1, "removed": 1, "point_recorded": 3]
    try await expect(once, owner, migration.id)
  }

  /// A sync that fails, a test that does not boot, a switch that is aborted; each leaves what was.
  static func fail(_ plane: ControlPlane, _ admin: FakeCloudAdmin) async throws {
    let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
    let migration = try await owner.begin(agent)
    async let end: Void = agent.run()
    _ = try await owner.migration(migration.id) { $0.state == .insync }
    agent.state.withLock { $0.failure = .init(code: "disk_read_error", message: "sda: I/O error") }
    try await owner.sync(migration.id)
    _ = try await owner.migration(migration.id) { $0.problem?.code == "disk_read_error" }
    agent.state.withLock { $0.failure = nil }
    #expect(try await owner.points(migration.id).count == 1)

    try await admin.set(ConsoleScripts(guest: "Gave up waiting for root file system device.\r\n"))
    let launch: MigrationAPI.Launch = try await owner.post(
      "migrations/\(migration.id)/launches", MigrationAPI.LaunchWish(key: "the-test"))
    let failed = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .failed }
    #expect(failed.problem?.code == "boot_failed")
    #expect(failed.proof?.screenshot == true)

    agent.state.withLock { $0.holdsFinal = true }
    try await owner.order("migrations/\(migration.id)/switch", MigrationAPI.LaunchWish())
    _ = try await owner.until("migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self) {
      $0.items.first?.final == true && $0.items.first?.progress != nil
    }
    try await owner.order("migrations/\(migration.id)/switch/abort")
    let aborted = try await owner.migration(migration.id) { $0.state == .insync }
    #expect(aborted.problem == nil && aborted.switchedAt == nil)
    agent.state.withLock { $0.holdsFinal = false }
    try await owner.sync(migration.id)
    #expect(try await owner.points(migration.id).count == 2)
    try await owner.delete("migrations/\(migration.id)")
    _ = try await owner.migration(migration.id) { $0.state == .done }
    try await end
    let once = ["sync_failed": 1, "test_failed": 1, "switch_aborted": 1, "removed": 1, "point_recorded": 2]
    try await expect(once, owner, migration.id)
  }

  /// Nothing is left, and the cloud's own log says that everything was made once and deleted.
  static func expectNothingLeft(_ owner: Owner, _ admin: FakeCloudAdmin) async throws {
    var left = try await owner.ledger()
    for _ in 0..<400 where !left.isEmpty {
      try await Task.sleep(for: .milliseconds(30))
      left = try await owner.ledger()
    }
    #expect(left.isEmpty)
    let leaks = try await owner.insisting {
      try await owner.clouds.get(owner.path("leaks"), as: CloudsAPI.Leaks.self)
    }
    #expect(leaks.unaccounted.isEmpty && leaks.missing.isEmpty)
    let log = try await admin.log()
    let created = log.filter { $0.effect?.hasPrefix("created") == true }.map(\.id)
    let deleted = log.filter { $0.effect?.hasPrefix("deleted") == true }.map(\.id)
    #expect(!created.isEmpty && Set(created).count == created.count, "nothing was made twice")
    #expect(Set(created) == Set(deleted) && deleted.count == created.count)
  }

  private static func expect(_ counts: [String: Int], _ owner: Owner, _ migration: String) async throws {
    let events = try await owner.events(migration)
    for (code, count) in counts { #expect(events.filter { $0 == code }.count == count, "\(code): \(events)") }
  }
}
