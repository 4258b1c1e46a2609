import Foundation
import GRDB
import Machines
import Wire
import Workflows

/// Watching a launched machine until it has proven itself, and keeping what it showed.
extension Orchestrator {
  func watchMachine(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .next("remove") }
    let (launch, _) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    guard let machine = try await clouds.machine(launch.machine), machine.state != .failed else {
      return .failed(.boot("the target could not start it"))
    }
    if machine.state != .creating {
      let forwards = machine.forwards.map {
        MigrationAPI.Launch.Forward(guestPort: $0.guestPort, address: $0.address)
      }
      switch try await verdict(launch, machine, clouds) {
      case .started(let why):
        try await prove(launch, clouds, verdict: why, passed: true, forwards: forwards)
        return .next("hold")
      case .failed(let why): return .failed(.boot(why))
      case .undecided where machine.state == .stopped: return .failed(.boot("it powered itself off"))
      case .undecided: break
      }
    }
    if now() >= state.deadline ?? 0 {
      return .failed(.boot("nothing proved its start within \(launch.wish.bootSeconds ?? 300) s"))
    }
    return later(context)
  }

  private func verdict(
    _ launch: LaunchRow, _ machine: CloudsAPI.Machine, _ clouds: CloudsClient
  ) async throws -> BootVerdict {
    let verdict = BootVerdict(
      console: try await clouds.console(launch.machine, limit: 1 << 20), success: launch.wish.successText)
    guard verdict == .undecided, let port = launch.wish.successPort,
      let forward = machine.forwards.first(where: { $0.guestPort == port }),
      let greeting = await PortGreeting.read(from: forward.address)
    else { return verdict }
    return .started("port \(port) greets with '\(greeting)'")
  }

  /// Saves what a machine shows, and with it what the migration's owner may know. A repeat overwrites it.
  func prove(
    _ launch: LaunchRow, _ clouds: CloudsClient, verdict: String, passed: Bool,
    forwards: [MigrationAPI.Launch.Forward]
  ) async throws {
    let console = try await clouds.console(launch.machine, limit: 64 << 10)
    let picture = try? await clouds.screenshot(launch.machine)
    let now = now()
    let proof = MigrationAPI.Launch.Proof(
      verdict: verdict, passed: passed, console: console, screenshot: picture != nil, at: now)
    try await database.write { db in
      if let picture {
        try ScreenshotRow(launch: launch.id, tenant: launch.tenant, png: Data(picture)).upsert(db)
      }
      try MigrationDatabase.update(LaunchRow.self, launch.tenant, launch.id, db) {
        $0.proof = proof
        if passed { ($0.state, $0.forwards) = (.running, forwards) }
      }
      guard passed, launch.kind == .test else { return }
      try MigrationDatabase.update(MigrationRow.self, launch.tenant, launch.migration, db) {
        if $0.activity == nil { ($0.state, $0.problem) = (.ready, nil) }
      }
      try EventRow(
        id: "evt-up-" + launch.id, tenant: launch.tenant, at: now, migration: launch.migration, code: "test_passed",
        message: "The test machine started: \(verdict)."
      ).insert(db, onConflict: .ignore)
    }
  }

  /// A switched machine stays; a test stays until it expires or is asked to go.
  func holdMachine(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (launch, _) = try await launch(context, state)
    if context.cancelRequested { return .next("remove") }
    guard launch.kind == .test, let expiresAt = launch.expiresAt else { return .done }
    return now() >= expiresAt ? .next("remove") : .snooze(until: Date(timeIntervalSince1970: Double(expiresAt)))
  }

  func noteFailedLaunch(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let problem = context.problem ?? .inconsistent("a launch failed without a reason")
    state.problem = problem
    let (launch, _) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    // Whatever can still be seen is kept: the machine's, or else the appliance's console.
    if launch.proof == nil {
      if try await clouds.machine(launch.machine) != nil {
        try? await prove(launch, clouds, verdict: problem.detail, passed: false, forwards: [])
      } else if let console = try? await clouds.console(launch.appliance, limit: 64 << 10) {
        let proof = MigrationAPI.Launch.Proof(
          verdict: problem.detail, passed: false, console: console, screenshot: false, at: now())
        try await database.update(LaunchRow.self, launch.tenant, launch.id) { $0.proof = proof }
      }
    }
    try await database.update(LaunchRow.self, launch.tenant, launch.id) { $0.problem = Problem(problem) }
    return .next("remove")
  }

  /// Machines first, then the clones they stood on; over when the clouds service knows none of them any more.
  func removeLaunch(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (launch, migration) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    try await database.update(LaunchRow.self, launch.tenant, launch.id) { $0.state = .removing }
    var left = 0
    for machine in [launch.machine, launch.appliance] where try await clouds.machine(machine) != nil {
      try await clouds.deleteMachine(machine)
      left += 1
    }
    if left > 0 { return later(context) }
    for index in migration.disks.indices where try await clouds.volume(launch.clone(index)) != nil {
      try await clouds.deleteVolume(launch.clone(index))
      left += 1
    }
    if left > 0 { return later(context) }
    let (now, problem) = (now(), state.problem)
    try await database.write { db in
      try MigrationDatabase.update(LaunchRow.self, launch.tenant, launch.id, db) {
        $0.state = problem == nil ? .removed : .failed
      }
      guard launch.kind == .test else { return }
      try MigrationDatabase.update(MigrationRow.self, launch.tenant, launch.migration, db) {
        if $0.state == .testing { $0.state = $0.restingState }
      }
      try EventRow(
        id: "evt-off-" + launch.id, tenant: launch.tenant, at: now, migration: launch.migration,
        code: problem == nil ? "test_removed" : "test_failed",
        message: problem.map { "The test failed: \($0.detail)" } ?? "The test machine and its clones were removed."
      ).insert(db, onConflict: .ignore)
    }
    return problem.map(StepOutcome.failed) ?? .done
  }
}

extension WorkflowProblem {
  static func boot(_ detail: String) -> WorkflowProblem {
    WorkflowProblem(
      code: "boot_failed", detail: "The launched machine did not come up: \(detail).",
      remedy: "See console and screenshot in the launch's proof; the source is untouched.")
  }
}
