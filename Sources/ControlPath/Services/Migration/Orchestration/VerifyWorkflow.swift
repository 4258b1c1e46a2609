import Foundation
import GRDB
import ServiceKit
import Wire
import Workflows

/// Re-reads a point: clones of its snapshots, read by the gateway, and removed again.
struct VerifyState: Codable, Sendable {
  var migration: String
  var point: String
  /// Names this reading and its clones.
  var run: String
  var locations: [String] = []
  var gateway: CloudsAPI.Gateway?

  func clone(_ disk: Int) -> String { "\(run)-\(disk)" }
}

extension Orchestrator {
  /// Seconds after which the clouds service removes the clones, whatever happened to us.
  private static let cloneSeconds = 2 * 86_400

  var verifyWorkflow: Workflow<VerifyState> {
    Workflow(kind: "verify", first: "clone", onFailure: "failed")
      .step("clone", clonePoint)
      .step("cloned", awaitPointClones)
      .step("read", readPoint)
      .step("failed", retry: .forever, noteUnreadable)
      .step("remove", retry: .forever, removePointClones)
  }

  /// Begins a reading, or answers with the point whose reading goes on.
  func beginVerify(_ tenant: String, _ id: String) async throws -> PointRow {
    let now = now()
    return try await database.write { db in
      guard var point = try MigrationDatabase.find(PointRow.self, tenant, id, db), !point.removing else {
        throw Problem.notFound("point \(id)")
      }
      if point.check?.state == .reading { return point }
      let run = Identifier.make("vfy")
      point.check = .init(run: run, state: .reading, startedAt: now)
      try point.update(db)
      try start(
        verifyWorkflow, id: "w-" + run, tenant: tenant,
        state: VerifyState(migration: point.migration, point: id, run: run), db)
      return point
    }
  }

  private func point(_ state: VerifyState, _ context: WorkflowContext) async throws -> (PointRow, MigrationRow) {
    let migration = try await migration(context.tenant, state.migration)
    guard let point = try await database.find(PointRow.self, context.tenant, state.point) else {
      throw WorkflowProblem.inconsistent("the point \(state.point) is gone")
    }
    return (point, migration)
  }

  private func clonePoint(_ state: inout VerifyState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (point, migration) = try await point(state, context)
    let clouds = try clouds(context.tenant)
    try await putClones(
      of: point, migration, clouds, expiresAt: (point.check?.startedAt ?? point.createdAt) + Self.cloneSeconds,
      name: state.clone)
    return .next("cloned")
  }

  private func awaitPointClones(_ state: inout VerifyState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (_, migration) = try await point(state, context)
    let clouds = try clouds(context.tenant)
    if let notYet = try await waitForClones(migration, clouds, context, name: state.clone) { return notYet }
    state.locations = []
    for index in migration.disks.indices {
      let attachment = try await clouds.attach(state.clone(index))
      state.locations.append(attachment.location)
      state.gateway = attachment.gateway
    }
    return .next("read")
  }

  private func readPoint(_ state: inout VerifyState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (point, migration) = try await point(state, context)
    guard let gateway = state.gateway else { return .failed(.inconsistent("\(state.run) has no gateway")) }
    let disks = zip(migration.disks, state.locations).map {
      SessionGrant.Disk(volume: $0.volume, location: $1, size: $0.size)
    }
    let answer = try await GatewayPoints(
      gateway, tenant: context.tenant, migration: migration.id, session: point.sync, disks: disks,
      key: configuration.key, now: now()
    ).verify(run: state.run)
    switch answer.state {
    case .reading: return later(context)
    case .failed: return .failed(answer.problem.map(WorkflowProblem.init) ?? .inconsistent("a reading gave no reason"))
    case .done: break
    }
    guard let token = answer.verification, let key = Base64URL.decode(gateway.key),
      let found = try? CompactJWS.verify(
        token, publicKey: key, as: PointVerification.self, typ: PointVerification.type),
      found.session == point.sync, found.migration == migration.id,
      found.disks.map(\.root) == point.receipt.disks.map(\.root)
    else {
      return .failed(
        WorkflowProblem(
          code: "verification_refused", detail: "What the gateway says of point \(point.id) does not hold.",
          remedy: "Its leaf map is not the one of the receipt: run a sync in mode compare and verify its point."))
    }
    try await record(found, token, state, context)
    return .next("remove")
  }

  private func record(
    _ found: PointVerification, _ token: String, _ state: VerifyState, _ context: WorkflowContext
  ) async throws {
    let now = now()
    try await database.write { db in
      guard var point = try MigrationDatabase.find(PointRow.self, context.tenant, state.point, db),
        var check = point.check, check.run == state.run, check.state == .reading
      else { return }
      (check.state, check.endedAt) = (found.differing == 0 ? .passed : .differs, now)
      (check.compared, check.differing, check.verification) = (found.compared, found.differing, token)
      point.check = check
      try point.update(db)
      let text =
        found.differing == 0
        ? "The point \(point.id) was re-read: all \(found.compared) leaves are right."
        : "The point \(point.id) is damaged: \(found.differing) of \(found.compared) leaves differ. The next sync reads "
          + "everything back; use a later point."
      try EventRow(
        tenant: point.tenant, at: now, migration: point.migration,
        code: found.differing == 0 ? "point_verified" : "point_damaged", message: text
      ).insert(db)
      guard found.differing > 0 else { return }
      try MigrationDatabase.update(MigrationRow.self, point.tenant, point.migration, db) {
        $0.noteDamaged(found.differing)
      }
    }
  }

  private func noteUnreadable(_ state: inout VerifyState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (now, run, id) = (now(), state.run, state.point)
    let problem = Problem(context.problem ?? .inconsistent("a reading failed without a reason"))
    try await database.update(PointRow.self, context.tenant, id) { point in
      guard var check = point.check, check.run == run else { return }
      (check.state, check.endedAt, check.problem) = (.failed, now, problem)
      point.check = check
    }
    return .next("remove")
  }

  private func removePointClones(_ state: inout VerifyState, _ context: WorkflowContext) async throws -> StepOutcome {
    let clouds = try clouds(context.tenant)
    let migration = try await migration(context.tenant, state.migration)
    for index in migration.disks.indices {
      try await clouds.detach(state.clone(index))
      try await clouds.deleteVolume(state.clone(index))
    }
    return .done
  }
}
