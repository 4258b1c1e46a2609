import Replication

/// What a gateway keeps on stable storage.
struct Store {
  var stored = ReplicaMachine.Stored()
  var map: [LeafState]
  /// The last record of each leaf in the session's manifest.
  var records: [LeafRecord?]
  /// Sessions whose seal counts.
  var receipts: Set<String> = []

  init(grid: Grid) {
    map = Array(repeating: LeafState(kind: .unknown), count: grid.leafCount)
    records = Array(repeating: nil, count: grid.leafCount)
  }

  /// The machine of a gateway that starts.
  func machine(_ grid: Grid) -> ReplicaMachine {
    var held = grid.sizes.map { Bitmap(count: ($0 + grid.leaf - 1) / grid.leaf) }
    var unknown = held
    for index in map.indices {
      let address = grid.address(ofLeaf: index)
      held[Int(address.disk)][Int(address.leaf)] = map[index].kind == .data || map[index].kind == .zero
      unknown[Int(address.disk)][Int(address.leaf)] = map[index].kind == .unknown
    }
    return ReplicaMachine(stored: stored, held: held, unknown: unknown)
  }
}

/// The replica's volumes: what reads see, what power loss leaves, and what lies between.
struct Volume {
  var visible: [UInt16]
  var durable: [UInt16]
  /// Writes since the last flush, as they came.
  var unflushed: [(cell: Int, value: UInt16)] = []
  /// Cells whose bytes are not what was written.
  var corrupt: Set<Int> = []
  /// The epoch and sequence of the last write to each cell in this life of the gateway.
  var last: [Int: (epoch: Epoch, sequence: Sequence)] = [:]

  init(grid: Grid) {
    visible = Array(repeating: 9999, count: grid.cellCount)
    durable = visible
  }

  mutating func write(_ cell: Int, _ value: UInt16) {
    visible[cell] = value
    unflushed.append((cell, value))
    corrupt.remove(cell)
  }

  /// Makes the first `count` unflushed writes durable.
  mutating func flush(_ count: Int) {
    for write in unflushed.prefix(count) { durable[write.cell] = write.value }
    unflushed.removeFirst(min(count, unflushed.count))
  }

  /// Whether the cell would hold this value after any loss of power.
  func isDurable(_ cell: Int, as value: UInt16?) -> Bool {
    durable[cell] == value && unflushed.allSatisfy { $0.cell != cell || $0.value == value }
  }

  /// What a read returns.
  func read(_ cell: Int) -> UInt16 { corrupt.contains(cell) ? visible[cell] ^ 0x4000 : visible[cell] }
}

struct Gateway {
  var isUp = true
  var life = 0
  var machine: ReplicaMachine
  var store: Store
  var volume: Volume
  var nextRequest: UInt64 = 0
  var requests: [UInt64: Message] = [:]
  /// Sabotage: the epoch of the life before, taken for the one that is open.
  var alias: Epoch?

  init(grid: Grid) {
    store = Store(grid: grid)
    machine = store.machine(grid)
    volume = Volume(grid: grid)
  }
}

extension World {
  func gatewayReceive(_ message: Message) throws {
    gateway.nextRequest += 1
    let request = gateway.nextRequest
    gateway.requests[request] = message
    switch message.body {
    case .open(let fresh):
      if sabotage == .opensWithoutDraining {
        gateway.machine = gateway.store.machine(grid)
      }
      gateway.alias = nil
      let isOther = message.session != gateway.machine.stored.session
      let ordinal =
        sabotage == .opensOlderSessions && isOther ? gateway.machine.stored.ordinal + 1 : message.ordinal
      try gatewayFeed(.open(request, session: message.session, ordinal: ordinal, fresh: fresh))
    case .frame(let frame, _, let touches):
      var touches = touches
      if sabotage == .claimsPartialLeaves { for index in touches.indices { touches[index].whole = true } }
      try gatewayFeed(
        .frame(
          request, session: message.session, epoch: alias(frame.epoch),
          sequence: sabotage == .acceptsStaleSequences ? Sequence(rawValue: .max / 2 + request) : frame.sequence,
          touches: touches))
    case .flush(let flush):
      try gatewayFeed(
        .flush(
          request, session: message.session, epoch: alias(flush.epoch),
          through: sabotage == .acceptsStaleSequences ? Sequence(rawValue: .max / 2 + request - 1) : flush.through,
          part: flush.part, records: flush.records))
    case .seal(let epoch, let parts):
      try gatewayFeed(
        .seal(
          request, session: message.session, epoch: alias(epoch),
          parts: sabotage == .sealsWhateverIsStored ? gateway.machine.stored.parts : parts))
    case .conclude:
      try gatewayFeed(.conclude(request, session: message.session, ordinal: message.ordinal))
    }
  }

  private func alias(_ epoch: Epoch) -> Epoch { epoch == gateway.alias ? gateway.machine.stored.epoch : epoch }

  func gatewayFeed(_ event: ReplicaMachine.Event) throws {
    let actions = gateway.machine.handle(event)
    tell("gateway \(event) -> \(actions)")
    for action in actions { try perform(action) }
  }

  private func later(holds: Int = 0, _ run: @escaping () throws -> Void) {
    schedule(.gateway(gateway.life), holds: holds, run)
  }

  private func perform(_ action: ReplicaMachine.Action) throws {
    switch action {
    case .reply(let request, let reply): try answer(request, reply)
    case .storeOpening(let request, let stored, let dropManifest):
      storing(request, then: .openingStored(request)) { [unowned self] in
        if sabotage == .retiresWithoutStoring, stored.session == nil { return }
        try checkOpening(stored)
        gateway.store.stored = stored
        if dropManifest { gateway.store.records = gateway.store.records.map { _ in nil } }
      }
    case .markUnknown(let request, let leaves):
      if sabotage == .marksUnknownAfterWriting {
        later { [unowned self] in try gatewayFeed(.unknownMarked(request)) }
        return later(holds: 10) { [unowned self] in mark(leaves) }
      }
      storing(request, then: .unknownMarked(request)) { [unowned self] in mark(leaves) }
    case .write(let request): later { [unowned self] in try write(request) }
    case .flushVolumes(let request): flush(request)
    case .storePart(let request, _, let records, let claims): storePart(request, records, claims)
    case .readBack(let request): later { [unowned self] in try readBack(request) }
    case .storeSeal(let request):
      storing(request, then: .sealStored(request)) { [unowned self] in try storeSeal() }
    }
  }

  /// One durable step of the store, or its failure.
  private func storing(
    _ request: UInt64, then event: ReplicaMachine.Event, _ change: @escaping () throws -> Void
  ) {
    later(holds: random.below(2)) { [unowned self] in
      if fault(oneIn: 60) {
        report.hit(.storageFailed)
        return try gatewayFeed(.failed(request, reason: "input/output error"))
      }
      try change()
      try checkClaims()
      later { [unowned self] in try gatewayFeed(event) }
    }
  }

  private func mark(_ leaves: [LeafAddress]) {
    for address in leaves { gateway.store.map[grid.index(of: address)] = LeafState(kind: .unknown) }
  }

  private func answer(_ request: UInt64, _ answer: ReplicaMachine.Reply) throws {
    guard let message = gateway.requests.removeValue(forKey: request) else { return }
    if case .mismatched(let leaves) = answer {
      report.hit(.mismatchFound)
      // Old content of a leaf that was not in use while nothing was tracked is for the read-back to find, where the
      // agent died before it had said that the leaf is free.
      if !hasCorrupted, !leaves.allSatisfy({ source.suspects.contains(grid.index(of: $0)) }) {
        throw violation("a seal found \(answer) though nothing was corrupted")
      }
    }
    if case .refused(.stale) = answer { report.hit(.staleRefused) }
    if case .refused(.superseded) = answer { report.hit(.olderSessionRefused) }
    if case .refused(.sealed) = answer, sabotage == .writesAfterSeal, case .frame = message.body {
      gateway.requests[request] = message
      return try write(request)
    }
    let answer = withReceipt(answer, message.session)
    if case .conclude = message.body {
      return transmit { [unowned self] in try concluded(message.session, answer) }
    }
    reply(to: message, sometimesNonsense(answer), held: gateway.machine.held)
  }

  /// A broken gateway names leaves that no disk has, beside others or alone.
  private func sometimesNonsense(_ answer: ReplicaMachine.Reply) -> ReplicaMachine.Reply {
    guard case .mismatched(let leaves) = answer, fault(oneIn: 3) else { return answer }
    report.hit(.nonsenseNamed)
    let nonsense = [LeafAddress(disk: 0, leaf: 99), LeafAddress(disk: 9, leaf: 0)]
    return .mismatched(random.oneIn(2) ? nonsense : leaves + nonsense)
  }

  /// Writes the cells of a frame one by one.
  private func write(_ request: UInt64) throws {
    guard case .frame(let frame, let values, _) = gateway.requests[request]?.body else { return }
    try write(request, frame, values.sorted { $0.key < $1.key })
  }

  private func write(_ request: UInt64, _ frame: SyncMachine.Frame, _ cells: [(key: Int, value: UInt16)]) throws {
    guard let (cell, value) = cells.first else { return try gatewayFeed(.written(request)) }
    if fault(oneIn: 150) {
      report.hit(.writeFailed)
      return try gatewayFeed(.writeFailed(request, .full))
    }
    try checkWrite(cell, frame)
    gateway.volume.write(cell, value)
    if corrupts, random.oneIn(30), isFaulty {
      report.hit(.bytesCorrupted)
      hasCorrupted = true
      gateway.volume.corrupt.insert(cell)
    }
    later(holds: random.oneIn(20) ? 20 : 0) { [unowned self] in
      try write(request, frame, Array(cells.dropFirst()))
    }
  }

  private func flush(_ request: UInt64) {
    later { [unowned self] in
      let count = gateway.volume.unflushed.count
      later(holds: random.below(3)) { [unowned self] in
        if fault(oneIn: 60) {
          report.hit(.storageFailed)
          return try gatewayFeed(.failed(request, reason: "input/output error"))
        }
        if sabotage != .claimsBeforeFlush { gateway.volume.flush(count) }
        try gatewayFeed(.volumesFlushed(request))
      }
    }
  }

  private func storePart(_ request: UInt64, _ records: [LeafRecord], _ claims: [LeafRecord]) {
    storing(request, then: .partStored(request)) { [unowned self] in
      gateway.store.stored.parts += 1
      for record in records { for leaf in leaves(record) { gateway.store.records[leaf] = record } }
      for claim in claims {
        for leaf in leaves(claim) { gateway.store.map[leaf] = LeafState(kind: claim.kind, digest: claim.digest) }
      }
    }
  }

  private func leaves(_ record: LeafRecord) -> Range<Int> {
    let first = grid.index(of: record.address)
    return first..<first + Int(record.run)
  }

  private func readBack(_ request: UInt64) throws {
    var mismatches: [LeafAddress] = []
    for leaf in 0..<grid.leafCount where verdict(leaf) == .mismatch {
      mismatches.append(grid.address(ofLeaf: leaf))
    }
    if sabotage == .sealsWithoutReadBack { mismatches = [] }
    try gatewayFeed(.readBackDone(request, mismatches: mismatches))
  }

  private func verdict(_ leaf: Int) -> LeafState.Verdict {
    let (state, record) = (gateway.store.map[leaf], gateway.store.records[leaf])
    guard state.needsReadBack(record: record) else { return state.verdict(record: record, readBack: nil) }
    let found = grid.record(ofLeaf: leaf, grid.cells(ofLeaf: leaf).map(gateway.volume.read))
    return state.verdict(record: record, readBack: (found.kind, found.digest))
  }

  private func storeSeal() throws {
    for leaf in 0..<grid.leafCount {
      if case .agrees(let kind, let digest) = verdict(leaf) {
        gateway.store.map[leaf] = LeafState(kind: kind, digest: digest, sealed: true)
      }
    }
    guard let session = gateway.store.stored.session, conclusions[session] != .retired else {
      throw violation("a session was sealed after it had been retired")
    }
    gateway.store.stored.sealed = true
    gateway.store.receipts.insert(session)
    report.seals += 1
    try checkSeal()
  }

  /// Loses an arbitrary part of what was not flushed.
  func losePower() {
    for write in gateway.volume.unflushed {
      if random.oneIn(2) {
        gateway.volume.durable[write.cell] = write.value
      } else {
        report.hit(.unflushedWriteDropped)
      }
    }
    gateway.volume.unflushed = []
    gateway.volume.visible = gateway.volume.durable
  }
}
