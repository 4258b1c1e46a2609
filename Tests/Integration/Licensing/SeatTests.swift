import Foundation
import Licensing
import NIOHTTP1
import ServiceKit
import ServiceLifecycle
import Synchronization
import Testing
import Wire

/// Seats, as the migration service counts them by what the licensing service says.
@Suite(.timeLimit(.minutes(2)), .serialized) struct SeatTests {
  @Test func `A machine takes one seat, whatever its migrations; it comes back unless the machine was handed over`()
    async throws
  {
    try await ControlPlane.test(running: false) { plane, _ in
      let plane = plane.licensed(1)
      try await plane.whileRunning(plane.services()) {
        let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
        let first = try await owner.begin(agent)
        let again = try await owner.start(agent, "the-migration")
        #expect(again.id == first.id)
        let second = try await owner.start(agent, "second")
        #expect(try await owner.seats().seats.map(\.source) == [first.source])

        let other = SimulatedAgent(plane)
        try await other.enrol(try await owner.post("enrolment-tokens", as: MigrationAPI.EnrolmentToken.self).token)
        let refused = await #expect(throws: Problem.self) { try await owner.start(other, "other") }
        #expect(refused?.code == "licence_exhausted" && refused?.remedy.contains("godwit licence list") == true)
        #expect(try await owner.get("migrations", as: Owner.Migrations.self).items.count == 2, "nothing was made")

        // Back only when the last one ends.
        async let life: Void = agent.run()
        for migration in [first, second] {
          #expect(try await owner.seats().seats.count == 1)
          try await owner.delete("migrations/\(migration.id)")
          _ = try await owner.migration(migration.id) { $0.state == .done }
        }
        #expect(try await owner.seats().seats.isEmpty)
        try await life

        let moved = try await owner.start(other, "other")
        async let end: Void = other.run()
        _ = try await owner.migration(moved.id) { $0.state == .insync && $0.activeSync == nil }
        try await owner.order("migrations/\(moved.id)/switch", MigrationAPI.LaunchWish())
        _ = try await owner.migration(moved.id) { $0.switchedAt != nil }
        try await end
        try await owner.order("migrations/\(moved.id)/finish")
        _ = try await owner.migration(moved.id) { $0.state == .done }
        let spent = try await owner.seats()
        #expect(spent.seats.count == 1 && spent.seats.allSatisfy { $0.spentAt != nil } && spent.licences[0].used == 1)
        let full = await #expect(throws: Problem.self) { try await owner.start(agent, "third") }
        #expect(full?.code == "licence_exhausted")
        // The machine that has the seat takes no other one.
        _ = try await owner.start(other, "once more")

        _ = try await owner.issue(seats: 1)
        _ = try await owner.start(agent, "third")
        #expect(try await owner.seats().seats.count == 2)
      }
    }
  }

  @Test func `While licensing is away those that run go on, and others start for 72 h`() async throws {
    try await ControlPlane.test(running: false) { plane, _ in
      let (plane, clock) = (plane.licensed(5), TestClock())
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let services = try plane.services(now: { clock.now })
      let migration = try await plane.whileRunning(services) { try await owner.begin(agent) }
      let later = SimulatedAgent(plane)
      let alone = try plane.services(now: { clock.now }).filter { !($0 is LicensingService) }
      try await plane.whileRunning(alone) {
        // Nobody asks a migration that runs.
        async let life: Void = agent.run()
        _ = try await owner.migration(migration.id) { $0.lastPointAt != nil && $0.activeSync == nil }
        try await owner.sync(migration.id)
        #expect(try await owner.points(migration.id).count == 2)
        try await owner.delete("migrations/\(migration.id)")
        _ = try await owner.migration(migration.id) { $0.state == .done }
        try await life
        try await later.enrol(try await owner.post("enrolment-tokens", as: MigrationAPI.EnrolmentToken.self).token)
        clock.advance(by: 71 * 3600)
        _ = try await owner.start(later, "in grace")
        #expect(try await owner.seats().seats.count == 1)
        clock.advance(by: 2 * 3600)
        let third = SimulatedAgent(plane)
        third.state.withLock { $0.ahead = 73 * 3600 }
        try await third.enrol(try await owner.post("enrolment-tokens", as: MigrationAPI.EnrolmentToken.self).token)
        let refused = await #expect(throws: Problem.self) {
          try await owner.migration.post(
            owner.path("migrations"), owner.wish(third, "too late"), as: MigrationAPI.Migration.self)
        }
        #expect(refused?.code == "licence_unconfirmed" && refused?.status == 503, "\(String(describing: refused))")
      }
    }
  }

  @Test func `An expired, a revoked and no licence start nothing, and say what to do`() async throws {
    try await ControlPlane.test(running: false) { plane, _ in
      let (plane, clock) = (plane.licensed(5), TestClock())
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      try await plane.whileRunning(plane.services(now: { clock.now })) {
        let first = try await owner.begin(agent)
        let given = try await owner.insisting { try await owner.licensing.get("/v1/licences", as: Owner.Licences.self) }
        #expect(given.items.map(\.edition) == [.evaluation] && given.items.map(\.tenant) == ["acme"])
        _ = try await owner.licensing.send(.DELETE, "/v1/licences/\(given.items[0].id)")
        let revoked = await #expect(throws: Problem.self) { try await owner.start(agent, "revoked") }
        #expect(revoked?.code == "licence_missing" && revoked?.remedy.contains("godwit licence issue acme") == true)
        // A seat of a revoked licence is none: another one takes its place.
        let second = try await owner.issue(seats: 1, days: 1)
        _ = try await owner.start(agent, "second")
        #expect(try await owner.seats().seats.map(\.licence).sorted() == [given.items[0].id, second.id].sorted())
        clock.advance(by: 25 * 3600)
        let expired = await #expect(throws: Problem.self) { try await owner.start(agent, "expired") }
        #expect(expired?.code == "licence_expired" && expired?.detail.contains(second.id) == true)
        let known = try await owner.start(agent, "the-migration")
        #expect(known.id == first.id, "what was started before is answered as ever")
      }
    }
  }

  @Test func `A clock that was set back is noticed, also after a restart`() async throws {
    try await ControlPlane.test(running: false) { plane, _ in
      let (plane, clock) = (plane.licensed(5), TestClock())
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      try await plane.whileRunning(plane.services(now: { clock.now })) {
        _ = try await owner.begin(agent)
        clock.advance(by: -200)
        _ = try await owner.start(agent, "a little")
        clock.advance(by: -3600)
        let refused = await #expect(throws: Problem.self) { try await owner.start(agent, "back") }
        #expect(refused?.code == "licence_clock")
      }
      try await plane.whileRunning(plane.services(now: { clock.now })) {
        let refused = await #expect(throws: Problem.self) { try await owner.start(agent, "back") }
        #expect(refused?.code == "licence_clock")
      }
      clock.advance(by: 3800)
      try await plane.whileRunning(plane.services(now: { clock.now })) { _ = try await owner.start(agent, "right") }
    }
  }

  @Test func `Killed between the seat and the migration, and around its return, no seat is lost or doubled`()
    async throws
  {
    try await KillTests.survive(
      among: ["migration.", "finish.end"],
      expected: ["migration.seat:effect", "migration.created:after", "finish.end:before", "finish.end:after"],
      last: "finish.end:after", evaluationSeats: 1
    ) { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      async let life: Void = agent.run()
      #expect(try await owner.seats().seats.count == 1)
      #expect(try await owner.get("migrations", as: Owner.Migrations.self).items.count == 1)
      try await owner.delete("migrations/\(migration.id)")
      _ = try await owner.migration(migration.id) { $0.state == .done }
      #expect(try await owner.seats().seats.isEmpty)
      try await life
    }
  }
}

extension Owner {
  typealias Migrations = MigrationAPI.Page<MigrationAPI.Migration>
  typealias Licences = MigrationAPI.Page<LicensingAPI.Issued>

  func wish(_ agent: SimulatedAgent, _ key: String) -> MigrationAPI.MigrationWish {
    .init(name: key, source: agent.state.withLock { $0.source }, target: "cloud", key: key)
  }

  func start(_ agent: SimulatedAgent, _ key: String) async throws -> MigrationAPI.Migration {
    try await post("migrations", wish(agent, key))
  }

  func seats() async throws -> LicensingAPI.Seats { try await get("seats") }

  func issue(seats: Int, days: Int = 30) async throws -> LicensingAPI.Issued {
    try await licensing.post(
      "/v1/licences", LicensingAPI.Wish(tenant: tenant, edition: .standard, seats: seats, days: days))
  }
}
