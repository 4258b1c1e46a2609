import Logging

extension LocalCloud {
  /// Exports the volume over NBD. Attaching again answers the same place, and starts the storage daemon anew if it died.
  public func attachVolume(_ id: String) async throws -> Attachment {
    try await turns.withTurn {
      guard var record = read({ $0.volumes[id] }), record.ready else { throw HypervisorError.unknown("volume", id) }
      try checkFree(id)
      try await settleSnapshots(of: id)
      record = read { $0.volumes[id] } ?? record
      if !record.attached {
        record.attached = true
        try await store(record)
      }
      do {
        try await export(record)
      } catch let error as HypervisorError where error.code == .failed {
        record.attached = false
        try await store(record)
        throw error
      }
      let socket = folder.volumeRun(id).nbd
      return Attachment(location: "nbd+unix:///\(StorageDaemonCommand.exportName)?socket=\(socket)")
    }
  }

  /// Starts the volume's storage daemon unless it runs.
  func export(_ record: VolumeRecord) async throws {
    let run = folder.volumeRun(record.id)
    if read({ $0.processes[run.path] })?.isAlive == true { return }
    try await blocking { try run.make() }
    let node = BlockNode(disk: 0, folder: folder, directIO: directIO)
    try await Tool.storageDaemon.run(StorageDaemonCommand.arguments(chain: record.layers, node: node, run: run))
    guard try await adopt(run) else {
      throw HypervisorError(.failed, "the process of \(run.path) ended as soon as it had started")
    }
    logger.info("volume exported", metadata: ["volume.id": "\(record.id)", "volume.layers": "\(record.layers.count)"])
  }

  /// Ends the export. What was flushed stays; so does, since the daemon is asked to quit, all that was written.
  public func detachVolume(_ id: String) async throws {
    try await turns.withTurn {
      guard var record = read({ $0.volumes[id] }), record.attached else { return }
      try await settleSnapshots(of: id)
      try await end(folder.volumeRun(id))
      record = read { $0.volumes[id] } ?? record
      record.attached = false
      try await store(record)
    }
  }

  // MARK: Processes

  /// Finds the process that was given this run folder's pid file, and remembers it. Answers whether there is one.
  @discardableResult
  func adopt(_ run: RunFolder) async throws -> Bool {
    let process = try await blocking { () -> HostProcess? in
      let limit = ContinuousClock.now + .seconds(5)
      while true {
        // More than one: the one that daemonizes still waits for the one that stays.
        let found = HostProcess.all(withArgument: run.pid)
        if found.isEmpty { return nil }
        if found.count == 1, DurableFile.exists(run.pid), (try? QMPConnection.open(run.monitor)) != nil {
          return found[0]
        }
        guard ContinuousClock.now < limit else {
          found.forEach { $0.kill() }
          throw HypervisorError(.unavailable, "the process of \(run.path) does not answer and was ended; try again")
        }
        Pause.milliseconds(20)
      }
    }
    remember(process, in: run)
    return process != nil
  }

  /// Ends the process of a run folder: asked first, so that it writes out what it holds, killed if it does not go.
  func end(_ run: RunFolder) async throws {
    let known = read { $0.processes[run.path] }
    try await blocking {
      let processes = known.map { [$0] } ?? HostProcess.all(withArgument: run.pid)
      if processes.contains(where: \.isAlive), var monitor = try? QMPConnection.open(run.monitor) {
        _ = try? monitor.execute("quit")
      }
      let limit = ContinuousClock.now + .seconds(10)
      while processes.contains(where: \.isAlive) {
        if ContinuousClock.now > limit { processes.forEach { $0.kill() } }
        Pause.milliseconds(5)
      }
      try run.remove()
    }
    remember(nil, in: run)
  }
}
