import Foundation
import ServiceKit
import Synchronization
import Testing
import Wire

/// A switch ends as its gateway has decided, whatever was heard of the source's agent.
@Suite(.timeLimit(.minutes(3)), .serialized)
struct SwitchEndTests {
  /// A migration in sync whose switch has come to its final sync.
  private func switching(
    _ final: SimulatedAgent.Final,
    _ body: @escaping @Sendable (Owner, SimulatedAgent, MigrationAPI.Migration) async throws -> Void
  ) async throws {
    try await ControlPlane.test { plane, _ in
      let (owner, agent) = (Owner(plane: plane), SimulatedAgent(plane))
      let migration = try await owner.begin(agent)
      agent.state.withLock { $0.final = final }
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        _ = try await owner.post(
          "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish(), as: MigrationAPI.Migration.self)
        _ = try await owner.until("migrations/\(migration.id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self) {
          $0.items.first?.progress?.phase == "sealing"
        }
        try await body(owner, agent, migration)
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
    }
  }

  private func abort(_ owner: Owner, _ migration: MigrationAPI.Migration) async throws {
    _ = try await owner.post("migrations/\(migration.id)/switch/abort", as: MigrationAPI.Migration.self)
  }

  private func last(_ code: String, _ owner: Owner, _ migration: MigrationAPI.Migration) async throws -> String? {
    try await owner.get("migrations/\(migration.id)/events?limit=200", as: MigrationAPI.Page<MigrationAPI.Event>.self)
      .items.first { $0.code == code }?.message
  }

  @Test func `An agent lost after the final seal does not hold the switch up`() async throws {
    try await switching(.sealsUnheard) { owner, _, migration in
      let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
      #expect(switched.problem == nil)
      #expect(try await owner.points(migration.id).first?.final == true)
    }
  }

  @Test func `An abort after the seal took place is too late, and the switch goes on`() async throws {
    try await switching(.sealsUnheard) { owner, _, migration in
      try await abort(owner, migration)
      let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
      #expect(switched.problem == nil)
    }
  }

  @Test func `An abort while the seal is asked for retires the session, and the agent says that the source runs`()
    async throws
  {
    try await switching(.waits) { owner, agent, migration in
      try await abort(owner, migration)
      let back = try await owner.migration(migration.id) { $0.state == .insync }
      #expect(back.problem == nil)
      #expect(try await last("switch_aborted", owner, migration)?.contains("goes on as before") == true)
      let session = try #require(agent.state.withLock { $0.sealed.keys.first { $0.hasPrefix("fin") } })
      #expect(agent.plane.isRetired(session))
      // The next switch is another session.
      agent.state.withLock { $0.final = .seals }
      _ = try await owner.post(
        "migrations/\(migration.id)/switch", MigrationAPI.LaunchWish(), as: MigrationAPI.Migration.self)
      let switched = try await owner.migration(migration.id) { $0.switchedAt != nil || $0.problem != nil }
      #expect(switched.problem == nil)
    }
  }

  @Test func `Nobody says that a source runs whose agent was not heard`() async throws {
    try await switching(.vanishes) { owner, _, migration in
      try await abort(owner, migration)
      _ = try await owner.migration(migration.id) { $0.state == .insync }
      let message = try await last("switch_aborted", owner, migration)
      #expect(message?.contains("has not said that the source runs") == true)
    }
  }
}
