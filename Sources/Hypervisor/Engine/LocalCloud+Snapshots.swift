import Machines
extension LocalCloud {
  /// Takes the volume's content at an instant within this call, also while it is written to.
  public func createSnapshot(_ id: String, _ wish: SnapshotWish) async throws -> Snapshot {
    try HypervisorError.checkID(id)
    return try await turns.withTurn {
      if let record = read({ $0.snapshots[id] }) {
        guard record.volume == wish.volume else {
          throw HypervisorError(.conflict, "snapshot \(id) exists, of volume \(record.volume)")
        }
        return try await complete(record).snapshot
      }
      guard let volume = read({ $0.volumes[wish.volume] }), volume.ready else {
        throw HypervisorError.unknown("volume", wish.volume)
      }
      try await settleSnapshots(of: volume.id)
      let record = SnapshotRecord(
        id: id, volume: volume.id, size: volume.size, tags: wish.tags, ready: false,
        layers: read { $0.volumes[volume.id]?.layers } ?? volume.layers, successor: .random())
      try await store(record)
      do {
        return try await complete(record).snapshot
      } catch let refusal as NotTaken {
        try await remove(record)
        try await collectLayers()
        throw refusal.cause
      }
    }
  }

  /// Nothing writes to the successor yet, and nothing will: the snapshot can be taken back.
  private struct NotTaken: Error {
    var cause: HypervisorError
  }

  /// Finishes snapshots that an earlier call or life left half done: a volume has at most one at a time.
  func settleSnapshots(of volume: String) async throws {
    for record in read({ $0.snapshots.values.filter { $0.volume == volume && !$0.ready } }) {
      do { try await complete(record) } catch let refusal as NotTaken { throw refusal.cause }
    }
  }

  /// Moves the volume on to the successor layer. Every step may have been made before.
  ///
  /// The successor is empty until someone writes through it, so a record that names it too early reads the same bytes;
  /// and whoever writes to the volume is moved before the record, so that no write ever goes below the successor.
  @discardableResult
  func complete(_ record: SnapshotRecord) async throws -> SnapshotRecord {
    guard !record.ready else { return record }
    guard var volume = read({ $0.volumes[record.volume] }) else {
      throw HypervisorError.unknown("volume", record.volume)
    }
    do {
      try await makeLayer(record.successor, over: record.layers[0], size: record.size)
    } catch let error as HypervisorError where error.code == .failed {
      throw NotTaken(cause: error)
    }
    if let user = liveUser(of: volume.id) {
      try await divert(user, from: record.layers, to: record.successor)
    }
    if volume.layers.first != record.successor {
      volume.layers = [record.successor] + record.layers
      try await store(volume)
    }
    var record = record
    record.ready = true
    try await store(record)
    return record
  }

  public func snapshot(_ id: String) throws -> Snapshot {
    guard let record = read({ $0.snapshots[id] }) else { throw HypervisorError.unknown("snapshot", id) }
    return record.snapshot
  }

  /// Succeeds when there is none; throws `.inUse` while volumes made from it exist.
  public func deleteSnapshot(_ id: String) async throws {
    try await turns.withTurn {
      guard var record = read({ $0.snapshots[id] }) else { return }
      if let clone = read({ $0.volumes.values.first { $0.origin == id } }) {
        throw HypervisorError(.inUse, "snapshot \(id) is the origin of volume \(clone.id); delete that volume first")
      }
      do { record = try await complete(record) } catch is NotTaken {}
      try await remove(record)
      try await collectLayers()
    }
  }

  // MARK: Under a live writer

  /// A process that has a volume open for writing, and which of its disks the volume is.
  struct LiveUser {
    var run: RunFolder
    var disk: Int
  }

  func liveUser(of volume: String) -> LiveUser? {
    read { state in
      let storage = folder.volumeRun(volume)
      if state.processes[storage.path]?.isAlive == true { return LiveUser(run: storage, disk: 0) }
      for machine in state.machines.values {
        guard let disk = machine.wish.volumes.firstIndex(of: volume) else { continue }
        let run = folder.machineRun(machine.id)
        if state.processes[run.path]?.isAlive == true { return LiveUser(run: run, disk: disk) }
      }
      return nil
    }
  }

  /// Makes the process write to `successor`: QEMU drains and flushes the old top in the same step. Then the old top is
  /// opened anew, read-only, so that clones can be opened over it elsewhere.
  private func divert(_ user: LiveUser, from layers: [LayerID], to successor: LayerID) async throws {
    let node = BlockNode(disk: user.disk, folder: folder, directIO: directIO)
    try await blocking {
      var monitor = try QMPConnection.open(user.run.monitor)
      let nodes = try monitor.execute("query-named-block-nodes", ["flat": true]).array ?? []
      let successorNode = nodes.first { $0["node-name"]?.string == node.name(successor) }
      if successorNode?["backing_file"]?.string == nil {
        if successorNode == nil {
          try monitor.execute("blockdev-add", node.layer(successor, readOnly: false, backing: .null))
        }
        do {
          try monitor.execute(
            "blockdev-snapshot",
            ["node": .string(node.name(layers[0])), "overlay": .string(node.name(successor))])
        } catch let error as HypervisorError where error.code == .failed {
          try monitor.execute("blockdev-del", ["node-name": .string(node.name(successor))])
          throw NotTaken(cause: error)
        }
      }
      let below: JSONValue = layers.count > 1 ? .string(node.name(layers[1])) : .null
      try monitor.execute(
        "blockdev-reopen", ["options": [node.layer(layers[0], readOnly: true, backing: below)]])
    }
  }
}
