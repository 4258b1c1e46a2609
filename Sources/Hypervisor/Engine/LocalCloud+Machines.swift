import FoundationEssentials
import Logging
import Machines

extension LocalCloud {
  /// Starts a machine on volumes that nothing else uses, or answers with the one there is if it was wished alike.
  public func createMachine(_ id: String, _ request: MachineRequest) async throws -> Machine {
    try HypervisorError.checkID(id)
    try request.wish.validate()
    if let record = read({ $0.machines[id] }), record.wish != request.wish {
      throw HypervisorError(.conflict, "machine \(id) exists and was wished otherwise")
    }
    if request.wish.role == .appliance, settings.applianceKernel == nil || settings.applianceInitramfs == nil {
      throw HypervisorError(
        .invalid, "this hypervisor has no repair appliance; start it with --appliance-kernel and --appliance-initramfs")
    }
    _ = await accelerator()
    return try await turns.withTurn {
      if let record = read({ $0.machines[id] }) {
        guard record.wish == request.wish else {
          throw HypervisorError(.conflict, "machine \(id) exists and was wished otherwise")
        }
        if record.state == .creating { return try await launch(record).machine }
        return observed(record)
      }
      for volume in request.wish.volumes { try checkUsable(volume) }
      let record = MachineRecord(
        id: id, wish: request.wish, tags: request.tags, state: .creating, reason: nil, forwards: [])
      try await store(record)
      do {
        return try await launch(record).machine
      } catch let error as HypervisorError where error.code == .failed {
        try await end(folder.machineRun(id))
        try await remove(record)
        throw error
      }
    }
  }

  private func checkUsable(_ volume: String) throws {
    guard let record = read({ $0.volumes[volume] }), record.ready else {
      throw HypervisorError.unknown("volume", volume)
    }
    guard !record.attached else {
      throw HypervisorError(.inUse, "volume \(volume) is attached; detach it before a machine uses it")
    }
    try checkFree(volume)
  }

  /// Starts QEMU for the record, unless it runs, and records that it does.
  func launch(_ record: MachineRecord) async throws -> MachineRecord {
    var record = record
    let run = folder.machineRun(record.id)
    if read({ $0.processes[run.path] })?.isAlive != true {
      for volume in record.wish.volumes { try await settleSnapshots(of: volume) }
      let verdict = await accelerator()
      try await prepare(record)
      record = try await startQEMU(record, verdict.accelerator)
      logger.info(
        "machine started",
        metadata: ["machine.id": "\(record.id)", "machine.accelerator": "\(verdict.accelerator.rawValue)"])
    }
    record.state = .running
    record.reason = nil
    try await store(record)
    return record
  }

  /// Makes the machine's folders, and its own, at first empty, firmware variables.
  private func prepare(_ record: MachineRecord) async throws {
    try await blocking { [folder, settings] in
      try StateFolder.makePrivate(folder.machineFolder(record.id))
      try folder.machineRun(record.id).make()
      let variables = folder.firmwareVariables(record.id)
      guard record.wish.firmware == .uefi, !DurableFile.exists(variables) else { return }
      let empty = try Data(contentsOf: URL(filePath: settings.firmwareVariables))
      try DurableFile.write([UInt8](empty), to: variables + ".part")
      try DurableFile.rename(variables + ".part", to: variables)
    }
  }

  /// Ports are found free, and written down, a moment before QEMU takes them; when another was faster, others are tried.
  private func startQEMU(_ record: MachineRecord, _ accelerator: Accelerator) async throws -> MachineRecord {
    var record = record
    var attempts = 4
    while true {
      let ports = try LoopbackPorts.free(record.wish.forwardedPorts.count)
      record.forwards = zip(record.wish.forwardedPorts, ports).map {
        PortForward(guestPort: $0, address: "127.0.0.1:\($1)")
      }
      try await store(record)
      let command = MachineCommand(
        record: record, layers: record.wish.volumes.map { id in read { $0.volumes[id]?.layers ?? [] } },
        hostPorts: ports, accelerator: accelerator, folder: folder, settings: settings, directIO: directIO)
      do {
        try await start(.system, command.arguments(), in: folder.machineRun(record.id))
        return record
      } catch let error as HypervisorError where error.message.contains("host forwarding") && attempts > 1 {
        attempts -= 1
      }
    }
  }

  /// The machine as it is now: a guest may have ended by itself.
  public func machine(_ id: String) throws -> Machine {
    guard let record = read({ $0.machines[id] }) else { throw HypervisorError.unknown("machine", id) }
    return observed(record)
  }

  func observed(_ record: MachineRecord) -> Machine {
    var machine = record.machine
    if record.state == .running, !isRunning(record.id) { machine.state = .stopped }
    return machine
  }

  func isRunning(_ id: String) -> Bool {
    read { $0.processes[folder.machineRun(id).path] }?.isAlive == true
  }

  /// Powers the machine off and removes it and its files; its volumes stay. Succeeds when there is none.
  public func deleteMachine(_ id: String) async throws {
    try await turns.withTurn {
      guard let record = read({ $0.machines[id] }) else { return }
      try await delete(record)
    }
  }

  func delete(_ record: MachineRecord) async throws {
    var record = record
    record.state = .deleting
    try await store(record)
    try await end(folder.machineRun(record.id))
    try await remove(record)
  }

  public func stopMachine(_ id: String) async throws {
    try await turns.withTurn {
      guard let record = read({ $0.machines[id] }) else { throw HypervisorError.unknown("machine", id) }
      guard record.state == .running || record.state == .creating else { return }
      try await stop(record, as: .stopped, reason: nil)
    }
  }

  func stop(_ record: MachineRecord, as state: MachineState, reason: String?) async throws {
    var record = record
    (record.state, record.reason) = (state, reason)
    try await store(record)
    try await end(folder.machineRun(record.id))
  }

  /// Starts it again on the same volumes; its console goes on in the same log.
  public func startMachine(_ id: String) async throws {
    try await turns.withTurn {
      guard let record = read({ $0.machines[id] }) else { throw HypervisorError.unknown("machine", id) }
      _ = try await launch(record)
    }
  }

  /// At most the last `limit` bytes of the serial console.
  public func console(_ id: String, limit: Int) async throws -> [UInt8] {
    guard read({ $0.machines[id] }) != nil else { throw HypervisorError.unknown("machine", id) }
    return try await blocking { [folder] in try ConsoleLog.tail(folder.console(id), limit: limit) }
  }

  /// What the screen shows, as PNG. Throws `.conflict` when the machine does not run or has no screen.
  public func screenshot(_ id: String) async throws -> [UInt8] {
    guard let record = read({ $0.machines[id] }) else { throw HypervisorError.unknown("machine", id) }
    guard isRunning(id), record.wish.role == .guest else {
      throw HypervisorError(.conflict, "machine \(id) has no screen to show: it is an appliance or does not run")
    }
    let run = folder.machineRun(id)
    return try await turns.withTurn {
      try await blocking {
        defer { try? DurableFile.remove(run.screenshot) }
        var monitor = try QMPConnection.open(run.monitor)
        try monitor.execute("screendump", ["filename": .string(run.screenshot), "format": "png"])
        return [UInt8](try Data(contentsOf: URL(filePath: run.screenshot)))
      }
    }
  }
}
