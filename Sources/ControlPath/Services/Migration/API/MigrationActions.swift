import Foundation
import GRDB
import Machines
import ServiceKit
import Wire
import Workflows

/// What users may ask of a migration: checked, noted, and left to a workflow, in one transaction.
struct MigrationActions: Sendable {
  static let rollbackStatement =
    "What was written on the target since the switch is not on the source. It stays on the target's volumes until the "
    + "migration is finished or removed."
  let orchestrator: Orchestrator

  private var database: MigrationDatabase { orchestrator.database }

  /// - Parameter most: how many migrations the tenant may have that are not done; nil: any number.
  func create(_ wish: MigrationAPI.MigrationWish, _ tenant: String, atMost most: Int? = nil) async throws
    -> MigrationRow
  {
    guard try await orchestrator.clouds(tenant).target(wish.target) != nil else {
      throw Problem.notFound("target \(wish.target)")
    }
    try Self.check(schedule: wish.schedule, retention: wish.retention, name: wish.name)
    try await orchestrator.licences?.confirm(tenant)
    let now = orchestrator.now()
    let row = try await database.write { db in
      guard let source = try MigrationDatabase.find(SourceRow.self, tenant, wish.source, db) else {
        throw Problem.notFound("source \(wish.source)")
      }
      let id = Identifier.make("mig", tenant: tenant, key: wish.key)
      if let known = try MigrationDatabase.find(MigrationRow.self, tenant, id, db) { return known }
      let open = MigrationRow.filter(Column("tenant") == tenant && Column("state") != MigrationAPI.State.done.rawValue)
      if let most, try open.fetchCount(db) >= most { throw TenantLimits.reached("open migrations", most) }
      let row = MigrationRow(
        id: id, tenant: tenant, name: wish.name, source: source.id, target: wish.target, state: .connecting,
        paused: false, schedule: wish.schedule, retention: wish.retention ?? 3,
        limits: wish.limits ?? SyncCommand.Limits(), disks: try Self.disks(of: source, wish, id: id), createdAt: now,
        nextSyncAt: now, failures: 0, scrub: wish.scrub.map { .init(budget: $0) })
      try row.insert(db)
      try EventRow(
        tenant: tenant, at: now, migration: id, source: source.id, code: "migration_created",
        message: "The migration \(wish.name) was created."
      ).insert(db)
      if let licences = orchestrator.licences {
        try SeatBook(keys: licences.keys).take(tenant, source: source.id, at: now, db)
        try orchestrator.configuration.faults.reach("migration.seat", .effect)
      }
      return row
    }
    try orchestrator.configuration.faults.reach("migration.created", .after)
    return row
  }

  private static func disks(
    of source: SourceRow, _ wish: MigrationAPI.MigrationWish, id: String
  ) throws -> [MigrationAPI.Migration.Disk] {
    let names = wish.disks ?? source.machine.disks.map(\.name)
    guard !names.isEmpty, Set(names).count == names.count else {
      throw Problem.malformed("A migration needs at least one disk, and each only once.")
    }
    return try names.enumerated().map { index, name in
      guard let disk = source.machine.disks.first(where: { $0.name == name }) else {
        throw Problem.malformed("The source has no disk '\(name)'.")
      }
      return MigrationAPI.Migration.Disk(
        name: name, size: disk.size, volume: "\(id)-\(index)", identity: disk.identity)
    }
  }

  private static func check(schedule: Int?, retention: Int?, name: String?) throws {
    guard (1...10_000_000).contains(schedule ?? 60) else {
      throw Problem.malformed("The schedule is at least 1 second.")
    }
    guard (1...1000).contains(retention ?? 1) else { throw Problem.malformed("The retention is 1 to 1000 points.") }
    guard (1...200).contains(name?.utf8.count ?? 1) else { throw Problem.malformed("A name has 1 to 200 bytes.") }
  }

  func change(
    _ tenant: String, _ id: String, _ change: MigrationAPI.MigrationChange, _ precondition: Precondition
  ) async throws -> MigrationRow {
    try Self.check(schedule: change.schedule, retention: change.retention, name: change.name)
    let now = orchestrator.now()
    return try await changed(tenant, id) { row, db in
      let active = try SyncRow.filter(
        Column("tenant") == tenant && Column("migration") == id && Column("endedAt") == nil
      ).fetchOne(db)
      try precondition.check(row.view(activeSync: active?.id))
      row.name = change.name ?? row.name
      row.retention = change.retention ?? row.retention
      row.limits = change.limits ?? row.limits
      row.paused = change.paused ?? row.paused
      if let budget = change.scrub {
        var scrub = row.scrub ?? .init()
        scrub.budget = budget == 0 ? nil : budget
        row.scrub = scrub
      }
      if let schedule = change.schedule {
        row.schedule = schedule
        row.nextSyncAt = row.sealedFinalAt == nil && row.state != .done ? now + schedule : nil
      }
    }
  }

  /// - Parameter most: how many test machines the tenant may have at a time; nil: any number.
  func beginTest(_ tenant: String, _ id: String, _ wish: MigrationAPI.LaunchWish, atMost most: Int? = nil) async throws
    -> LaunchRow
  {
    let (now, key) = (orchestrator.now(), Identifier.make("lau", tenant: tenant, key: wish.key))
    guard (60...604_800).contains(wish.expiresIn ?? 3600) else {
      throw Problem.malformed("A test lives for 60 s to 7 days.")
    }
    return try await database.write { db in
      guard var migration = try MigrationDatabase.find(MigrationRow.self, tenant, id, db) else {
        throw Problem.notFound("migration \(id)")
      }
      if let known = try MigrationDatabase.find(LaunchRow.self, tenant, key, db), known.migration == id { return known }
      let over = [MigrationAPI.Launch.State.removed, .failed].map(\.rawValue)
      let tests = LaunchRow.filter(
        Column("tenant") == tenant && Column("kind") == MigrationAPI.Launch.Kind.test.rawValue
          && !over.contains(Column("state")))
      if let most, try tests.fetchCount(db) >= most { throw TenantLimits.reached("test machines", most) }
      guard migration.activity == nil, migration.state != .done else { throw Problem.busy(migration) }
      let points = PointRow.filter(
        Column("tenant") == tenant && Column("migration") == id && Column("removing") == false)
      let named = wish.point.map { points.filter(Column("id") == $0) } ?? points.order(Column("rowid").desc)
      let known = try named.fetchAll(db)
      if let missing = known.first, wish.point != nil, missing.isMissing { throw Problem.pointMissing(missing.id) }
      guard let point = known.first(where: { !$0.isMissing }) else {
        throw Problem(
          code: "no_point", status: 409, detail: "The migration \(id) has no such point to launch from.",
          remedy: "Wait for a sync to end, or name another point.")
      }
      let launch = LaunchRow(
        id: key, tenant: tenant, migration: id, point: point.id, kind: .test, state: .cloning, wish: wish,
        forwards: [], createdAt: now, expiresAt: now + (wish.expiresIn ?? 3600))
      try launch.insert(db)
      if migration.switchedAt == nil, migration.sealedFinalAt == nil { migration.state = .testing }
      try migration.update(db)
      try orchestrator.start(
        orchestrator.launchWorkflow, id: Orchestrator.launchWorkflowID(key), tenant: tenant,
        state: LaunchState(migration: id, launch: key), db)
      return launch
    }
  }

  func remove(_ launch: LaunchRow) async throws {
    guard launch.kind == .test || launch.state == .stopped || launch.state == .failed else {
      throw Problem.conflict(
        "The launch \(launch.id) is the switched machine.", remedy: "Roll back first, or finish the migration.")
    }
    if launch.state != .removed, launch.state != .failed { try await orchestrator.removeNow(launch) }
  }

  /// Switches; after a sealed final sync whose launch failed, launches again from its point.
  func beginSwitch(_ tenant: String, _ id: String, _ wish: MigrationAPI.LaunchWish) async throws -> MigrationRow {
    try await changed(tenant, id) { row, db in
      guard row.activity == nil, row.state != .done, row.switchedAt == nil, row.awaitingSourceSince == nil else {
        throw Problem.busy(row)
      }
      guard row.scrub?.open ?? 0 == 0 else { throw Problem.mismatchesOpen(row) }
      guard row.lastPointAt != nil else {
        throw Problem(
          code: "no_point", status: 409, detail: "The migration \(id) has no point yet.",
          remedy: "Wait for the first sync, and test its point.")
      }
      let final = try SyncRow.filter(
        Column("tenant") == tenant && Column("migration") == id && Column("final") == true
          && Column("state") == "done"
      ).order(Column("rowid").desc).fetchOne(db)
      let again = row.sealedFinalAt == nil ? nil : final
      let state = SwitchState(
        migration: id, sync: again?.id ?? Identifier.make("fin"), launch: Identifier.make("swi"), wish: wish)
      let workflow = Identifier.make("switch")
      (row.activity, row.state, row.problem) = (workflow, .switching, nil)
      try orchestrator.start(
        orchestrator.switchWorkflow, at: again == nil ? nil : "launch", id: workflow, tenant: tenant, state: state, db)
    }
  }

  func abortSwitch(_ tenant: String, _ id: String) async throws -> MigrationRow {
    guard let row = try await database.find(MigrationRow.self, tenant, id) else {
      throw Problem.notFound("migration \(id)")
    }
    guard let activity = row.activity, row.state == .switching, row.sealedFinalAt == nil else {
      throw Problem.conflict(
        "There is no switch of \(id) that can still be aborted.", remedy: "After the final seal, roll back instead.")
    }
    // Whatever the final sync is doing: where its gateway has sealed it the switch goes on, else it is aborted.
    try await orchestrator.cancel(activity)
    return row
  }

  func rollBack(_ tenant: String, _ id: String) async throws -> MigrationRow {
    try await changed(tenant, id) { row, db in
      guard row.activity == nil, row.sealedFinalAt != nil, row.state != .done else {
        throw Problem.conflict(
          "There is nothing to roll back in \(id).", remedy: "Only a switch that was sealed and not finished can be.")
      }
      let workflow = Identifier.make("rollback")
      (row.activity, row.rollbackStatement) = (workflow, Self.rollbackStatement)
      try orchestrator.start(
        orchestrator.rollbackWorkflow, id: workflow, tenant: tenant, state: RollbackState(migration: id, key: workflow),
        db)
    }
  }

  func finish(_ tenant: String, _ id: String, keep: Bool) async throws -> MigrationRow {
    try await changed(tenant, id) { row, db in
      guard row.activity == nil, row.state != .done else { throw Problem.busy(row) }
      guard keep == (row.switchedAt != nil) else {
        throw keep
          ? Problem.conflict("The migration \(id) was not switched.", remedy: "Switch first, or remove the migration.")
          : Problem.conflict(
            "The migration \(id) was switched; removing it would remove the target.",
            remedy: "Finish it, or roll back first.")
      }
      let workflow = Identifier.make("finish")
      row.activity = workflow
      try orchestrator.start(
        orchestrator.finishWorkflow, id: workflow, tenant: tenant, state: FinishState(migration: id, keep: keep), db)
    }
  }

  private func changed(
    _ tenant: String, _ id: String, _ body: @escaping @Sendable (inout MigrationRow, GRDB.Database) throws -> Void
  ) async throws -> MigrationRow {
    let row = try await database.write { db in
      try MigrationDatabase.update(MigrationRow.self, tenant, id, db) { try body(&$0, db) }
    }
    guard let row else { throw Problem.notFound("migration \(id)") }
    return row
  }
}
