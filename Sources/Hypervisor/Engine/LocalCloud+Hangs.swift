import Logging

/// Storage daemons that hang: alive, but silent. Whoever writes through one gives up, and nobody may write to the volume
/// again while it could go on and carry out what it was given; a dead one cannot.
extension LocalCloud {
  /// Replaces the storage daemons that stay silent for `HypervisorSettings.daemonPatience`.
  public func replaceHungDaemons() async {
    let attached = read { state in
      state.volumes.values.filter { $0.attached && state.processes[folder.volumeRun($0.id).path]?.isAlive == true }
    }
    let patience = settings.daemonPatience
    await withDiscardingTaskGroup { group in
      for record in attached {
        group.addTask { [self] in
          if await answers(folder.volumeRun(record.id), within: patience) { return }
          await turns.withTurn {
            await mend("volume.id", record.id) { try await replaceDaemon(of: record.id, patience: patience) }
          }
        }
      }
    }
  }

  private func answers(_ run: RunFolder, within limit: Duration) async -> Bool {
    let answer = try? await blocking {
      _ = try QMPConnection.open(run.monitor, limit: limit)
      return true
    }
    return answer == true
  }

  private func replaceDaemon(of id: String, patience: Duration) async throws {
    let run = folder.volumeRun(id)
    guard let record = read({ $0.volumes[id] }), record.attached,
      read({ $0.processes[run.path] })?.isAlive == true
    else { return }
    // Within a turn nobody else speaks with it.
    if await answers(run, within: min(patience, .seconds(5))) { return }
    logger.error("a storage daemon hangs and is replaced", metadata: ["volume.id": "\(id)"])
    try await end(run, asks: false)
    try await settleSnapshots(of: id)
    try await export(read { $0.volumes[id] } ?? record)
  }
}
