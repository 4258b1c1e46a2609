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
    try await start(
      .storageDaemon, StorageDaemonCommand.arguments(chain: record.layers, node: node, run: run), in: run)
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
}
