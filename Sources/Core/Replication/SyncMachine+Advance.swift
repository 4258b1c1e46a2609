/// What can be done now.
extension SyncMachine {
  mutating func advance() {
    // What waits only for its thaw begins nothing new.
    guard stage != .ended, endReason == nil else { return }
    if link == .closed {
      link = .opening(fresh: opensFresh)
      actions.append(.open(fresh: opensFresh))
    }
    if tracking == .idle, !isThawing, epoch != nil || stage != .starting {
      let restart = losses > 0 || mode != .delta
      tracking = .preparing(restart: restart)
      actions.append(.prepare(restart: restart))
    }
    if stage == .sending && hasDirty { giveInstantUp() }
    cutFrames()
    cutFlush()
    guard isSettled, epoch != nil, tracking == .ready else { return }
    switch stage {
    case .copying where isNearlyClean: freeze()
    case .copying: take()
    // What cannot be frozen may still be written: until a take comes back empty. What was sent since then was read at
    // another time than the rest.
    case .streaming where !isHeldClean && mayTakeStill: takeStill()
    case .sending, .streaming: seal()
    default: break
    }
  }

  /// Before the filesystems are thawed whatever writes may wait for them.
  private var isThawing: Bool { if case .thawing = stage { true } else { false } }

  /// Once its seal was requested a final sync must end: it takes as long as there is hope.
  private var mayTakeStill: Bool {
    !sealRequested || (!isUntracked && losses <= settings.trackingLosses && heldTakes < settings.heldTakes)
  }

  private mutating func take() {
    rounds += 1
    tracking = .taking
    actions.append(.take(syncFirst: true))
  }

  private mutating func freeze() {
    (stage, isNearlyClean, isInstantOver) = (.freezing, false, false)
    instants += 1
    actions.append(.freeze(hold: final))
  }

  private mutating func seal() {
    guard let epoch else { return }
    stage = .sealing
    (sealRequested, heldTakes, isDisturbed) = (final, 0, final && !isHeldClean)
    if !capturing.isEmpty { release() }
    actions.append(.seal(epoch: epoch, final: final))
  }

  mutating func release() {
    (capturing, captured, memory) = ([], [:], [])
    actions.append(.release)
  }

  // MARK: Frames

  private mutating func cutFrames() {
    guard let epoch, loose.isEmpty, flushing?.loose.isEmpty != false, tracking != .idle else { return }
    while unsettled.count(where: { $0.records == nil }) < settings.framesInFlight,
      unsettled.reduce(0, { $0 + $1.frame.leaves.count }) < 2 * settings.flushLeaves
    {
      let cut: (extents: [Extent], comparable: [UInt64])? =
        switch stage {
        case .copying, .streaming: cutFromDisks()
        case .sending: cutFromMemory().map { ($0, []) }
        default: nil
        }
      guard let cut, let first = cut.extents.first else { return }
      lastSequence = lastSequence.next
      let map = maps[Int(first.disk)]
      var leaves: [UInt64] = []
      for extent in cut.extents {
        let leaf = UInt64(map.leaves(of: extent.range).lowerBound)
        if leaves.last != leaf { leaves.append(leaf) }
      }
      for leaf in leaves { maps[Int(first.disk)].busy[Int(leaf)] = true }
      let frame = Frame(
        epoch: epoch, sequence: lastSequence, origin: stage == .sending ? .memory : .disk, extents: cut.extents,
        leaves: leaves, comparable: cut.comparable)
      unsettled.append(Carried(frame: frame))
      isHeldClean = false
      actions.append(.carry(frame))
    }
  }

  /// Up to a frame's fill of the dirty leaves of one disk that are in no unsettled frame.
  private mutating func cutFromDisks() -> (extents: [Extent], comparable: [UInt64])? {
    for disk in maps.indices where !maps[disk].dirty.isEmpty {
      let start = maps[disk].cursor
      if let cut = maps[disk].cut(from: start, limit: settings.frameLeaves, disk: UInt16(disk)) { return cut }
      if start > 0, let cut = maps[disk].cut(from: 0, limit: settings.frameLeaves, disk: UInt16(disk)) { return cut }
    }
    return nil
  }

  /// Up to a frame's fill of the captured extents of one disk.
  private mutating func cutFromMemory() -> [Extent]? {
    guard let disk = memory.first?.disk else { return nil }
    var extents: [Extent] = []
    var rest: [Extent] = []
    var leaves: Set<Int> = []
    for extent in memory {
      let leaf = maps[Int(extent.disk)].leaves(of: extent.range).lowerBound
      if extent.disk == disk, leaves.contains(leaf) || leaves.count < settings.frameLeaves {
        leaves.insert(leaf)
        extents.append(extent)
      } else {
        rest.append(extent)
      }
    }
    memory = rest
    return extents.sorted { $0.range.lowerBound < $1.range.lowerBound }
  }

  // MARK: Flushes

  /// Asks to settle what is acknowledged: when it is much, or when nothing else can go on before.
  private mutating func cutFlush() {
    guard let epoch, flushing == nil else { return }
    let firstOpen = unsettled.firstIndex { $0.records == nil }
    let ready = unsettled[..<(firstOpen ?? unsettled.endIndex)]
    guard !ready.isEmpty || !loose.isEmpty else { return }
    let leaves = ready.reduce(0) { $0 + $1.frame.leaves.count }
    guard firstOpen == nil || leaves >= settings.flushLeaves || !loose.isEmpty else { return }
    let records = Array(loose.prefix(Self.looseRecords))
    loose.removeFirst(records.count)
    // Everything before the first frame that is still open is acknowledged, found equal or abandoned.
    let through = firstOpen.map { Sequence(rawValue: unsettled[$0].frame.sequence.rawValue - 1) } ?? lastSequence
    flushing = Flushing(part: nextPart, frames: Array(ready), loose: records)
    actions.append(
      .flush(
        Flush(
          epoch: epoch, through: through, part: nextPart, records: records + ready.flatMap { $0.records ?? [] })))
    unsettled.removeFirst(ready.count)
  }

  /// Records of free leaves in one part: a body of 1.5 MiB.
  private static let looseRecords = 32768
}

extension SyncMachine.DiskMap {
  /// Takes up to `limit` dirty leaves that are not busy, from block `start` on.
  fileprivate mutating func cut(from start: Int, limit: Int, disk: UInt16) -> (extents: [Extent], comparable: [UInt64])?
  {
    var extents: [Extent] = []
    var compared: [UInt64] = []
    var next = start
    var taken = 0
    while taken < limit, let found = dirty.next(from: next) {
      let index = Int(UInt64(found) * block / leaf)
      let blocks = blocks(ofLeaf: index)
      next = blocks.upperBound
      if busy[index] { continue }
      let isCompared = comparable[index] && held[index]
      if isCompared { compared.append(UInt64(index)) }
      extents += self.extents(ofLeaf: index, whole: isCompared || !held[index]).map { Extent(disk: disk, range: $0) }
      dirty.remove(blocks)
      comparable[index] = false
      taken += 1
      cursor = next
    }
    return extents.isEmpty ? nil : (extents, compared)
  }
}
