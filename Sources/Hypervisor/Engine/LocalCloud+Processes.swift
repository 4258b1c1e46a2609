/// Storage daemons and QEMUs: detached, found again by their run folders.
extension LocalCloud {
  /// Starts the program and waits until its monitor answers. Throws `.failed`, with what it said, when it ends before.
  func start(_ tool: Tool, _ arguments: [String], in run: RunFolder) async throws {
    try await tool.launch(arguments, log: run.log)
    guard try await adopt(run) else {
      let said = try await blocking { try ConsoleLog.tail(run.log, limit: 2000) }
      throw HypervisorError(.failed, "\(tool.rawValue) did not start: \(String(decoding: said, as: UTF8.self))")
    }
  }

  /// Finds the process of this run folder, and remembers it. Answers whether there is one; ends one that does not answer.
  @discardableResult
  func adopt(_ run: RunFolder) async throws -> Bool {
    let process = try await blocking { () -> HostProcess? in
      let limit = ContinuousClock.now + .seconds(10)
      while run.isHeld {
        let found = HostProcess.all(withArgument: run.pid)
        if found.count == 1, DurableFile.exists(run.pid), (try? QMPConnection.open(run.monitor)) != nil {
          return found[0]
        }
        guard ContinuousClock.now < limit else {
          found.forEach { $0.kill() }
          throw HypervisorError(.unavailable, "the process of \(run.path) does not answer and was ended; try again")
        }
        Pause.milliseconds(10)
      }
      return nil
    }
    remember(process, in: run)
    return process != nil
  }

  /// Ends the process of a run folder: asked first, so that it writes out what it holds, killed if it does not go.
  ///
  /// Returns only when it is gone, so that no write of its own can come later: its lock goes when its last thread has
  /// left the kernel.
  /// - Parameter asks: false kills it at once.
  func end(_ run: RunFolder, asks: Bool = true) async throws {
    try await blocking {
      let started = ContinuousClock.now
      if asks, run.isHeld, var monitor = try? QMPConnection.open(run.monitor) { _ = try? monitor.execute("quit") }
      while run.isHeld {
        let taken = ContinuousClock.now - started
        if !asks || taken > .seconds(10) { HostProcess.all(withArgument: run.pid).forEach { $0.kill() } }
        if taken > .seconds(30) {
          throw HypervisorError(.unavailable, "the process of \(run.path) cannot be ended; is its disk hanging?")
        }
        Pause.milliseconds(5)
      }
      try run.remove()
    }
    remember(nil, in: run)
  }
}
