import Replication

extension World.Image {
  /// Something was written that could not be frozen.
  var wasDisturbed: Bool { loose.count > 1 }
}

/// The rules, as assertions.
extension World {
  /// A lower sequence is never written over a higher one, an old epoch never after a new one, nothing after a seal.
  func checkWrite(_ cell: Int, _ frame: SyncMachine.Frame) throws {
    if gateway.store.stored.sealed { throw violation("cell \(cell) was written after the seal") }
    if gateway.store.stored.epoch > frame.epoch {
      throw violation("cell \(cell) was written by epoch \(frame.epoch.rawValue) after a newer one was opened")
    }
    if let last = gateway.volume.last[cell], last.epoch == frame.epoch, last.sequence > frame.sequence {
      throw violation("sequence \(frame.sequence.rawValue) was written over \(last.sequence.rawValue) at cell \(cell)")
    }
    gateway.volume.last[cell] = (frame.epoch, frame.sequence)
  }

  /// A source that never gets quiet is not waited for without end.
  func checkRounds(_ agent: Agent, _ event: SyncMachine.Event) throws {
    switch event {
    case .prepared: (agent.unfit, agent.leastTaken) = (0, nil)
    case .taken(let extents) where !source.isFrozen:
      let taken = extents.reduce(0) { $0 + $1.range.count }
      guard taken > agent.instantBytes else { return }
      if let least = agent.leastTaken, taken >= least - least / 4 { agent.unfit += 1 }
      agent.leastTaken = min(agent.leastTaken ?? taken, taken)
      if agent.unfit > agent.unfitRounds { throw violation("a source that is never quiet was waited for") }
    case .mismatched:
      agent.mismatches += 1
      if !agent.isFinal, agent.mismatches > agent.mismatchRounds {
        throw violation("a target that does not keep what is written was sent it again and again")
      }
    default: break
    }
  }

  /// No session opens after a later one has.
  func checkOpening(_ new: ReplicaMachine.Stored) throws {
    guard let session = new.session else { return }
    let ordinal = ordinals[session, default: 0]
    if conclusions[session] == .retired { throw violation("session \(session) was opened after it had been retired") }
    if ordinal < newestOpened { throw violation("session \(session) was opened after a later one") }
    if ordinal < self.ordinal { report.hit(.openedLate) }
    newestOpened = ordinal
  }

  /// The map never claims more than the volumes would hold after a loss of power.
  func checkClaims() throws {
    for leaf in 0..<grid.leafCount {
      let state = gateway.store.map[leaf]
      guard state.kind == .data || state.kind == .zero else { continue }
      let cells = grid.cells(ofLeaf: leaf)
      let found = grid.record(ofLeaf: leaf, gateway.volume.durable[cells])
      let isSure = cells.allSatisfy { gateway.volume.isDurable($0, as: gateway.volume.durable[$0]) }
      if found.kind != state.kind || found.digest != state.digest || !isSure {
        throw violation("the map claims leaf \(leaf) and the volume does not surely hold it")
      }
    }
  }

  /// What differs from a leaf that the gateway holds is marked, or a write of it has not completed.
  func checkNothingLost() throws {
    guard source.isTracking, source.isEstablished, !source.hasMissed else { return }
    for leaf in 0..<grid.leafCount where source.used[leaf] {
      let state = gateway.store.map[leaf]
      guard state.kind == .data || state.kind == .zero, !source.suspects.contains(leaf) else { continue }
      for cell in grid.cells(ofLeaf: leaf) where gateway.volume.durable[cell] != source.cells[cell] {
        if !source.live[cell], !source.pending[cell], !isInFlight(cell) {
          throw violation("cell \(cell) differs and is marked nowhere")
        }
      }
    }
  }

  /// A sealed replica is the source at its instant, byte for byte, and says so.
  func checkSeal() throws {
    guard let session = gateway.store.stored.session, let image = instants[session] else {
      throw violation("sealed without an instant")
    }
    try checkLoose(image)
    for leaf in 0..<grid.leafCount {
      let state = gateway.store.map[leaf]
      if !state.sealed { throw violation("leaf \(leaf) is not sealed") }
      guard image.used[leaf] else { continue }
      if state.kind == .free { throw violation("leaf \(leaf) is in use and sealed as free") }
      let cells = grid.cells(ofLeaf: leaf)
      for cell in cells {
        if gateway.volume.read(cell) != image.cells[cell], !image.wasDisturbed || cell < grid.looseCells.lowerBound {
          throw violation("cell \(cell) of the sealed volume is not what the source held at the instant")
        }
        if !gateway.volume.isDurable(cell, as: gateway.volume.visible[cell]) {
          throw violation("cell \(cell) of the sealed volume is not durable")
        }
      }
      let isLoose = image.wasDisturbed && grid.looseCells.contains(cells.lowerBound)
      let record = grid.record(ofLeaf: leaf, isLoose ? gateway.volume.visible[cells] : image.cells[cells])
      if record.kind != state.kind || record.digest != state.digest {
        throw violation("the map seals leaf \(leaf) with another digest")
      }
    }
  }

  /// What was written although everything else was frozen is sealed as it was between two writes.
  private func checkLoose(_ image: Image) throws {
    guard image.wasDisturbed else { return }
    let cells = grid.looseCells.filter { image.used[grid.leaf(ofCell: $0)] }
    let isWhole = image.loose.contains { state in
      cells.allSatisfy { gateway.volume.read($0) == state[$0 - grid.looseCells.lowerBound] }
    }
    if !isWhole { throw violation("the disk that cannot be frozen is sealed as it never was") }
  }

  /// After the final seal the replica is the source at power-off.
  func checkEnd() throws {
    guard source.isOff, source.isFrozen else { throw violation("the source runs after the final seal") }
    if !source.inFlight.isEmpty { throw violation("a write was in flight at power-off") }
    let wasDisturbed = instants[gateway.store.stored.session ?? ""]?.wasDisturbed == true
    for leaf in 0..<grid.leafCount where source.used[leaf] {
      for cell in grid.cells(ofLeaf: leaf) where gateway.volume.read(cell) != source.cells[cell] {
        // What came after the last clean take is not in the point.
        if wasDisturbed, grid.looseCells.contains(cell) { continue }
        throw violation("cell \(cell) of the final point is not what the source held at power-off")
      }
    }
  }
}
