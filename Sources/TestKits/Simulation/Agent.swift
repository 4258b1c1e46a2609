import Replication

/// One life of the agent's driver.
final class Agent {
  enum Body {
    case open(fresh: Bool)
    case frame(SyncMachine.Frame, values: [Int: UInt16], touches: [ReplicaMachine.Touch])
    case flush(SyncMachine.Flush)
    case seal(Epoch, parts: UInt64)
    /// Not the agent's: the control plane's.
    case conclude
  }

  /// A frame while it is read.
  struct Reading {
    var frame: SyncMachine.Frame
    var values: [Int: UInt16] = [:]
    var records: [LeafRecord] = []
  }

  let life: Int
  let session: String
  let ordinal: UInt64
  let isFinal: Bool
  var machine: SyncMachine
  var isEnding = false
  var watchdogFired = false
  var nextMessage = 0
  /// What fits an instant, how many rounds there may be in which more was written and not less than before, how many
  /// there were, and the least that was written in one.
  var instantBytes = 0
  var unfitRounds = 0
  var unfit = 0
  var leastTaken: Int?
  /// How often a seal may be refused before the sync ends, and how often it was.
  var mismatchRounds = 0
  var mismatches = 0
  /// Parts of the manifest that are stored.
  var parts: UInt64 = 0
  /// Requests that wait for an answer.
  var outstanding: [Int: Body] = [:]
  var readings: [Sequence: Reading] = [:]
  /// Captured cells, and leaves still to be captured.
  var memory: [Int: UInt16] = [:]
  /// What was read from each leaf before; only sabotage sends it.
  var earlier: [Int: [UInt16]] = [:]
  /// What each cell was last acknowledged as, or found equal to.
  var carried: [Int: (sequence: Sequence, value: UInt16)] = [:]

  init(life: Int, session: String, ordinal: UInt64, isFinal: Bool, machine: SyncMachine) {
    (self.life, self.session, self.ordinal, self.isFinal) = (life, session, ordinal, isFinal)
    self.machine = machine
  }
}

extension World {
  func feed(_ agent: Agent, _ event: SyncMachine.Event) throws {
    guard agent === self.agent else { return }
    switch event {
    case .opened(let opened): agent.parts = opened.parts
    case .flushed(_, let part): agent.parts = part + 1
    default: break
    }
    try checkRounds(agent, event)
    let actions = agent.machine.handle(event)
    note(event, actions)
    tell("agent \(agent.life) \(event) -> \(actions) [\(agent.machine.progress.phase)]")
    for action in actions { try perform(action, agent) }
  }

  /// Counts the rare paths.
  private func note(_ event: SyncMachine.Event, _ actions: [SyncMachine.Action]) {
    switch event {
    case .taken(let extents) where source.isFrozen && !extents.isEmpty && actions == [.thaw]:
      report.hit(.instantOverBound)
    case .opened where actions.contains { if case .settle = $0 { true } else { false } }: report.hit(.partFoundStored)
    default: break
    }
  }

  private func later(_ agent: Agent, holds: Int = 0, _ run: @escaping () throws -> Void) {
    schedule(.agent(agent.life), holds: holds, run)
  }

  private func perform(_ action: SyncMachine.Action, _ agent: Agent) throws {
    switch action {
    case .prepare(let restart): prepare(agent, restart: restart)
    case .mark(let extents, let establishes):
      for extent in extents { for cell in grid.cells(of: extent) { source.pending[cell] = true } }
      if establishes { source.isEstablished = true }
    case .open(let fresh): send(agent, .open(fresh: fresh))
    case .take: take(agent)
    case .carry(let frame):
      agent.readings[frame.sequence] = Agent.Reading(frame: frame)
      later(agent) { [unowned self] in try read(agent, frame.sequence) }
    case .flush(let flush):
      if flush.records.contains(where: { $0.kind == .free }) { report.hit(.freeRecorded) }
      send(agent, .flush(flush))
    case .settle(let extents): try settle(agent, extents)
    case .freeze:
      if agent.isFinal, agent.machine.progress.stalls > 0 { report.hit(.frozenUnquiet) }
      freeze(agent)
    case .capture(let extents): capture(agent, extents)
    case .thaw:
      later(agent) { [unowned self] in
        let inTime = !agent.watchdogFired
        try thawSource(agent)
        try feed(agent, .thawed(inTime: inTime))
      }
    case .release:
      agent.memory = [:]
      agent.readings = agent.readings.filter { $0.value.frame.origin == .disk }
    case .seal(let epoch, let final):
      if final {
        if agent.watchdogFired {
          later(agent) { [unowned self] in try feed(agent, .thawed(inTime: false)) }
          return
        }
        sealNote = agent.session
        if fault(oneIn: 12) {
          report.hit(.agentCutOff)
          isCutOff = true
          schedule(.network, holds: random.below(60)) { [unowned self] in conclude() }
        }
      }
      send(agent, .seal(epoch, parts: agent.parts))
    case .powerOff:
      guard gateway.store.receipts.contains(agent.session) else {
        throw violation("the source was powered off and its final sync is not sealed")
      }
      source.isOff = true
    case .finish(let outcome):
      agent.isEnding = true
      try sessionEnded(outcome)
    }
  }

  // MARK: Tracking

  private func prepare(_ agent: Agent, restart: Bool) {
    later(agent) { [unowned self] in
      var voided: String?
      if restart {
        source.restartTracker()
      } else if !isProven {
        voided = "not proven"
        report.hit(.trackingLost)
      }
      later(agent) { [unowned self] in
        let used: [[Range<UInt64>]] = (0..<2).map { disk in
          (0..<grid.leafCount).filter { source.used[$0] && grid.address(ofLeaf: $0).disk == disk }.map {
            let first = grid.address(ofLeaf: $0).leaf * UInt64(grid.leaf)
            return first..<min(first + UInt64(grid.leaf), UInt64(grid.sizes[disk]))
          }
        }
        if restart { source.suspects = Set(source.used.indices.filter { !source.used[$0] }) }
        let pending = voided == nil ? grid.extents(source.pending) : []
        try feed(agent, .prepared(SyncMachine.Prepared(voided: voided, pending: pending, used: used)))
      }
    }
  }

  private func take(_ agent: Agent) {
    later(agent, holds: random.below(2)) { [unowned self] in
      guard isProven else {
        report.hit(.trackingLost)
        return try feed(agent, .trackingLost(reason: "counters differ"))
      }
      let batch = source.live
      let marking = { [unowned self] in for cell in batch.indices where batch[cell] { source.pending[cell] = true } }
      let clearing = { [unowned self] in for cell in batch.indices where batch[cell] { source.live[cell] = false } }
      if sabotage == .clearsBeforeMarking { clearing() } else { marking() }
      later(agent, holds: random.below(3)) { [unowned self] in
        if sabotage == .clearsBeforeMarking { marking() } else { clearing() }
        for index in source.inFlight.indices { source.inFlight[index].sawTake = true }
        try feed(agent, .taken(grid.extents(batch)))
      }
    }
  }

  private func settle(_ agent: Agent, _ extents: [Extent]) throws {
    for extent in extents {
      for cell in grid.cells(of: extent) {
        guard gateway.volume.isDurable(cell, as: agent.carried[cell]?.value) else {
          throw violation("cell \(cell) was settled and is not durable")
        }
        source.pending[cell] = false
      }
    }
    try checkNothingLost()
  }

  // MARK: Frames

  /// Reads the next leaf of a frame; after the last, asks for claims and sends.
  private func read(_ agent: Agent, _ sequence: Sequence) throws {
    guard var reading = agent.readings[sequence] else { return }
    let frame = reading.frame
    if reading.records.count < frame.leaves.count {
      if fault(oneIn: 200) { return try lose(agent, sequence) }
      let leaf = grid.index(
        of: LeafAddress(disk: frame.disk, leaf: frame.leaves[reading.records.count]))
      let cells = grid.cells(ofLeaf: leaf)
      var values = Array(source.cells[cells])
      if sabotage == .sendsEarlierReads { (agent.earlier[leaf], values) = (values, agent.earlier[leaf] ?? values) }
      for cell in cells { reading.values[cell] = values[cell - cells.lowerBound] }
      reading.records.append(grid.record(ofLeaf: leaf, values))
      agent.readings[sequence] = reading
      return later(agent) { [unowned self] in try read(agent, sequence) }
    }
    if frame.origin == .memory {
      for (cell, value) in agent.memory where sabotage != .readsDiskAfterThaw { reading.values[cell] = value }
      reading.records = []
    } else if !frame.comparable.isEmpty {
      guard gateway.isUp else { return try lose(agent, sequence) }
      for index in reading.records.indices where frame.comparable.contains(reading.records[index].leaf) {
        let state = gateway.store.map[grid.index(of: reading.records[index].address)]
        let record = reading.records[index]
        reading.records[index].equal = state.kind == record.kind && state.digest == record.digest
        if reading.records[index].equal { report.hit(.foundEqual) }
      }
    }
    agent.readings[sequence] = reading
    let equal = Set(reading.records.filter(\.equal).map(\.leaf))
    let extents = frame.extents.filter { !equal.contains($0.range.lowerBound / UInt64(grid.leaf)) }
    if extents.isEmpty { return try carried(agent, sequence) }
    var values: [Int: UInt16] = [:]
    for extent in extents { for cell in grid.cells(of: extent) { values[cell] = reading.values[cell] ?? 0 } }
    let touches = ReplicaMachine.touches(of: extents, sizes: grid.sizes.map(UInt64.init), leaf: UInt64(grid.leaf))
    send(agent, .frame(frame, values: values, touches: touches))
  }

  func lose(_ agent: Agent, _ sequence: Sequence) throws {
    guard let reading = agent.readings.removeValue(forKey: sequence) else { return }
    if reading.frame.origin == .memory { report.hit(.memoryResent) }
    try feed(agent, .lost(sequence))
  }

  func carried(_ agent: Agent, _ sequence: Sequence) throws {
    guard let reading = agent.readings.removeValue(forKey: sequence) else { return }
    for extent in reading.frame.extents {
      for cell in grid.cells(of: extent) {
        let newest = agent.carried[cell]?.sequence ?? sequence
        if let value = reading.values[cell], newest <= sequence { agent.carried[cell] = (sequence, value) }
      }
    }
    if sabotage == .settlesWhenAcknowledged { try settle(agent, reading.frame.extents) }
    try feed(agent, .carried(sequence, reading.records))
  }

  // MARK: The instant

  private func freeze(_ agent: Agent) {
    if fault(oneIn: 12) {
      report.hit(.freezeFailed)
      return later(agent) { [unowned self] in try feed(agent, .freezeFailed(reason: "busy")) }
    }
    source.isFreezing = true
    later(agent) { [unowned self] in try freezeWhenQuiet(agent) }
  }

  private func freezeWhenQuiet(_ agent: Agent) throws {
    if !source.inFlight.isEmpty, sabotage != .freezesWithoutWaiting {
      return later(agent) { [unowned self] in try freezeWhenQuiet(agent) }
    }
    (source.isFreezing, source.isFrozen, agent.watchdogFired) = (false, true, false)
    instants[agent.session] = Image(
      cells: source.cells, used: source.used, loose: [Array(source.cells[grid.looseCells])])
    try feed(agent, .frozen)
  }

  func thawSource(_ agent: Agent) throws {
    if let session = sealNote {
      if gateway.store.receipts.contains(session) { throw violation("the source was thawed after its final seal") }
      guard isRetired(session) else { throw violation("the source was thawed while its final seal might still come") }
      report.hit(.thawedAfterRetirement)
      sealNote = nil
    }
    source.thaw()
  }

  private func capture(_ agent: Agent, _ extents: [Extent]) {
    let leaves = Set(extents.flatMap { grid.cells(of: $0).map { grid.leaf(ofCell: $0) } }).sorted()
    capture(agent, extents, leaves: leaves, records: [])
  }

  private func capture(_ agent: Agent, _ extents: [Extent], leaves: [Int], records: [LeafRecord]) {
    later(agent) { [unowned self] in
      guard let leaf = leaves.first else { return try feed(agent, .captured(records)) }
      if fault(oneIn: 40) {
        report.hit(.captureFailed)
        return try feed(agent, .captureFailed(reason: "too slow"))
      }
      let cells = grid.cells(ofLeaf: leaf)
      for extent in extents {
        for cell in grid.cells(of: extent) where cells.contains(cell) { agent.memory[cell] = source.cells[cell] }
      }
      let record = grid.record(ofLeaf: leaf, source.cells[cells])
      capture(agent, extents, leaves: Array(leaves.dropFirst()), records: records + [record])
    }
  }
}
