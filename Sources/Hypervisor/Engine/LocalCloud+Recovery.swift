import Logging
import Machines

extension LocalCloud {
  /// Finishes what an earlier life began and did not end, finds its processes again, and restarts exports whose storage
  /// daemon is gone. One object that cannot be mended is logged and does not keep the others from it.
  public func recover() async {
    await turns.withTurn {
      for record in read({ Array($0.volumes.values) }) {
        await mend("volume.id", record.id) { _ = try await adopt(folder.volumeRun(record.id)) }
      }
      for record in read({ Array($0.machines.values) }) {
        await mend("machine.id", record.id) { _ = try await adopt(folder.machineRun(record.id)) }
      }
      for record in read({ Array($0.volumes.values) }) {
        await mend("volume.id", record.id) { try await complete(record) }
        await mend("volume.id", record.id) { try await settleSnapshots(of: record.id) }
        await mend("volume.id", record.id) { try await recoverExport(of: record.id) }
      }
      for record in read({ Array($0.machines.values) }) {
        await mend("machine.id", record.id) { try await recover(record) }
      }
      await mend("state.path", folder.path) { try await collectLayers() }
    }
  }

  func mend(_ key: String, _ id: String, _ work: () async throws -> Void) async {
    do { try await work() } catch {
      logger.error("not recovered", metadata: ["\(key)": "\(id)", "error": "\(error)"])
    }
  }

  private func recoverExport(of id: String) async throws {
    guard let record = read({ $0.volumes[id] }) else { return }
    if record.attached { try await export(record) } else { try await end(folder.volumeRun(id)) }
  }

  private func recover(_ record: MachineRecord) async throws {
    switch record.state {
    case .creating: _ = try await launch(record)
    case .deleting: try await delete(record)
    case .stopped, .failed: try await end(folder.machineRun(record.id))
    case .running: try await noteEnd(of: record)
    }
  }

  /// Looks after what can change without a request: machines that ended, appliances over their time, exports that died.
  public func supervise() async {
    for record in read({ $0.machines.values.filter { $0.state == .running } }) {
      await turns.withTurn {
        await mend("machine.id", record.id) {
          guard let now = read({ $0.machines[record.id] }), now.state == .running else { return }
          try await noteEnd(of: now)
          try await enforceTimeLimit(now)
        }
      }
    }
    let dead = read { state in
      state.volumes.values.filter { $0.attached && state.processes[folder.volumeRun($0.id).path]?.isAlive != true }
    }
    for record in dead {
      await turns.withTurn {
        await mend("volume.id", record.id) {
          guard let now = read({ $0.volumes[record.id] }), now.attached else { return }
          try await settleSnapshots(of: now.id)
          try await export(read { $0.volumes[now.id] } ?? now)
        }
      }
    }
  }

  private func noteEnd(of record: MachineRecord) async throws {
    guard record.state == .running, !isRunning(record.id) else { return }
    try await stop(record, as: .stopped, reason: nil)
  }

  private func enforceTimeLimit(_ record: MachineRecord) async throws {
    guard record.wish.role == .appliance,
      let process = read({ $0.processes[folder.machineRun(record.id).path] }), process.isAlive,
      process.age > Double(settings.applianceTimeLimit)
    else { return }
    logger.warning("appliance ended: over its time", metadata: ["machine.id": "\(record.id)"])
    try await stop(
      record, as: .failed,
      reason: "it ran longer than \(settings.applianceTimeLimit) s; its console says how far it came")
  }
}
