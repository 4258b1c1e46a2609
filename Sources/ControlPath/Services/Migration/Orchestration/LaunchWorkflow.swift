import Foundation
import GRDB
import Machines
import Wire
import Workflows

/// One launch: clones of a point, their repair, the machine, its proof; for a test also its end.
struct LaunchState: Codable, Sendable {
  var migration: String
  var launch: String
  /// Seconds since 1970 when the running phase must be over.
  var deadline: Int?
  /// Why it is being removed, when it failed.
  var problem: WorkflowProblem?
}

extension Orchestrator {
  static func launchWorkflowID(_ launch: String) -> String { "w-" + launch }
  /// Seconds the repair appliance may take.
  static let repairSeconds = 900

  var launchWorkflow: Workflow<LaunchState> {
    Workflow(kind: "launch", first: "clone", onFailure: "failed")
      .step("clone", cloneVolumes)
      .step("cloned", awaitClones)
      .step("repair", startAppliance)
      .step("repairing", awaitRepair)
      .step("repaired", retry: .forever, removeAppliance)
      .step("boot", startMachine)
      .step("watch", watchMachine)
      .step("hold", holdMachine)
      .step("failed", retry: .forever, noteFailedLaunch)
      .step("remove", retry: .forever, removeLaunch)
  }

  func launch(_ context: WorkflowContext, _ state: LaunchState) async throws -> (LaunchRow, MigrationRow) {
    let migration = try await migration(context.tenant, state.migration)
    guard let launch = try await database.find(LaunchRow.self, context.tenant, state.launch) else {
      throw WorkflowProblem.inconsistent("the launch \(state.launch) is gone")
    }
    return (launch, migration)
  }

  private func cloneVolumes(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .next("remove") }
    let (launch, migration) = try await launch(context, state)
    guard let point = try await database.find(PointRow.self, context.tenant, launch.point) else {
      return .failed(.inconsistent("the point \(launch.point) is gone"))
    }
    let clouds = try clouds(context.tenant)
    try await putClones(of: point, migration, clouds, expiresAt: backstop(launch), name: launch.clone)
    return .next("cloned")
  }

  /// The workflow removes a test when it expires; an hour later the clouds service does, whatever happened to us.
  func backstop(_ launch: LaunchRow) -> Int? { launch.expiresAt.map { $0 + 3600 } }

  private func awaitClones(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .next("remove") }
    let (launch, migration) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    return try await waitForClones(migration, clouds, context, name: launch.clone) ?? .next("repair")
  }

  private func startAppliance(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (launch, migration) = try await launch(context, state)
    let machine = try await sourceMachine(migration)
    let shape = MachineWish(
      role: .appliance, cpus: 1, memory: 512 << 20, firmware: machine.firmware,
      volumes: migration.disks.indices.map(launch.clone), network: .none,
      applianceArguments: [
        "godwit.firmware=\(machine.firmware.rawValue)",
        "godwit.disks=" + migration.disks.map(\.name).joined(separator: ",")
      ])
    _ = try await clouds(context.tenant).putMachine(
      launch.appliance,
      CloudsAPI.MachineRequest(
        target: migration.target, wish: shape, owner: migration.id, expiresAt: now() + 2 * Self.repairSeconds))
    state.deadline = now() + Self.repairSeconds
    try await database.update(LaunchRow.self, context.tenant, launch.id) { $0.state = .repairing }
    return .next("repairing")
  }

  private func awaitRepair(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    if context.cancelRequested { return .next("remove") }
    let (launch, _) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    guard let machine = try await clouds.machine(launch.appliance), machine.state != .failed else {
      return .failed(.repair("the repair appliance could not be started"))
    }
    // The state was read first: what a stopped machine said is all there is.
    if machine.state != .creating {
      switch RepairConsole(console: try await clouds.console(launch.appliance, limit: 1 << 20)) {
      case .report(let report):
        try await database.update(LaunchRow.self, context.tenant, launch.id) { $0.repair = report }
        return .next("repaired")
      case .broken(let why): return .failed(.repair("the repair appliance is of no use: \(why)"))
      case .undecided where machine.state == .stopped:
        return .failed(.repair("the repair appliance stopped without a report"))
      case .undecided: break
      }
    }
    if now() >= state.deadline ?? 0 { return .failed(.repair("the repair appliance took too long")) }
    return later(context)
  }

  private func removeAppliance(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (launch, _) = try await launch(context, state)
    let clouds = try clouds(context.tenant)
    if try await clouds.machine(launch.appliance) != nil {
      try await clouds.deleteMachine(launch.appliance)
      return later(context)
    }
    guard let report = launch.repair, report.verdict != .refused else {
      let why = launch.repair?.problems.map(\.message).joined(separator: " ") ?? ""
      let remedy = launch.repair?.problems.map(\.remedy).joined(separator: " ") ?? ""
      return .failed(
        WorkflowProblem(
          code: "repair_refused", detail: "The machine would not boot on the target. \(why)",
          remedy: remedy.isEmpty ? "See the repair's findings." : remedy))
    }
    return .next(context.cancelRequested ? "remove" : "boot")
  }

  private func startMachine(_ state: inout LaunchState, _ context: WorkflowContext) async throws -> StepOutcome {
    let (launch, migration) = try await launch(context, state)
    let machine = try await sourceMachine(migration)
    let shape = MachineWish(
      role: .guest, cpus: launch.wish.cpus ?? min(machine.cpus, 2), memory: launch.wish.memory ?? machine.memory,
      firmware: machine.firmware, volumes: migration.disks.indices.map(launch.clone),
      network: launch.kind == .test ? .isolated : .open, forwardedPorts: launch.wish.ports ?? [22])
    _ = try await clouds(context.tenant).putMachine(
      launch.machine,
      CloudsAPI.MachineRequest(target: migration.target, wish: shape, owner: migration.id, expiresAt: backstop(launch)))
    state.deadline = now() + (launch.wish.bootSeconds ?? 300)
    try await database.update(LaunchRow.self, context.tenant, launch.id) { $0.state = .starting }
    return .next("watch")
  }

  private func sourceMachine(_ migration: MigrationRow) async throws -> MachineDescription {
    guard let source = try await database.find(SourceRow.self, migration.tenant, migration.source) else {
      throw WorkflowProblem.inconsistent("the source \(migration.source) is gone")
    }
    return source.machine
  }
}

extension WorkflowProblem {
  static func repair(_ detail: String) -> WorkflowProblem {
    WorkflowProblem(
      code: "repair_failed", detail: "Repairing the clone failed: \(detail).",
      remedy: "See the appliance's console in the launch's proof, then launch again.")
  }
}
