/// Takes, and the consistent instant.
extension SyncMachine {
  mutating func receiveInstant(_ event: Event) {
    switch event {
    case .taken(let extents): taken(extents)
    case .trackingLost(let reason): takeFailed(reason)
    case .frozen: frozen()
    case .freezeFailed(let reason): freezeFailed(reason)
    case .captured(let records): captured(records)
    case .captureFailed: captureFailed()
    case .thawed(let inTime): thawed(inTime: inTime)
    case .deadline: deadline()
    default: break
    }
  }

  // MARK: Takes

  mutating func beginInstantTake() {
    stage = .holding
    takeStill()
  }

  /// Takes while everything that can be is frozen.
  mutating func takeStill() {
    tracking = .taking
    if sealRequested { heldTakes += 1 }
    actions.append(.take(syncFirst: false))
  }

  private mutating func taken(_ extents: [Extent]) {
    guard tracking == .taking else { return }
    tracking = .ready
    soil(extents)
    clearSuspects(extents)
    clearMarks()
    guard stage == .holding || stage == .streaming else {
      isNearlyClean = fitsInstant(dirtyExtents(limit: settings.instantLeaves))
      if !isNearlyClean { judgeRound() }
      return
    }
    if final {
      (stage, isHeldClean) = (.streaming, isSettled)
      return
    }
    let wanted = dirtyExtents(limit: settings.instantLeaves)
    guard !isInstantOver, let wanted, fitsInstant(wanted) else { return thaw(captured: false) }
    for disk in maps.indices { maps[disk].dirty.removeAll() }
    capturing = wanted
    if wanted.isEmpty {
      thaw(captured: true)
    } else {
      stage = .capturing
      actions.append(.capture(wanted))
    }
  }

  /// After a round that left too much for an instant. One that shrank it well is on its way and counts for nothing, so
  /// that even the largest disk has its rounds, but not without end.
  private mutating func judgeRound() {
    let dirty = dirtyBytes
    let isNearer = leastDirty == .max || dirty < leastDirty - leastDirty / 4
    leastDirty = min(leastDirty, dirty)
    if !isNearer { noteStall() }
  }

  private mutating func noteStall() {
    stalls += 1
    guard stalls >= settings.stalledRounds else { return }
    // A final sync sends what is left while frozen; its deadline still thaws.
    if final { isNearlyClean = true } else { finish(.notConverging) }
  }

  private mutating func takeFailed(_ reason: String) {
    guard tracking == .taking else { return }
    trackingLost(reason)
    guard stage == .holding || stage == .streaming else { return }
    if sealRequested {
      stage = .streaming
    } else {
      thaw(captured: false)
    }
  }

  /// What is dirty, as it would be sent; nil where that touches more than `limit` leaves.
  private func dirtyExtents(limit: Int) -> [Extent]? {
    var extents: [Extent] = []
    var leaves = 0
    for disk in maps.indices {
      let map = maps[disk]
      var next = 0
      while let found = map.dirty.next(from: next) {
        let leaf = Int(UInt64(found) * map.block / map.leaf)
        leaves += 1
        if leaves > limit { return nil }
        extents += map.extents(ofLeaf: leaf, whole: !map.held[leaf]).map { Extent(disk: UInt16(disk), range: $0) }
        next = map.blocks(ofLeaf: leaf).upperBound
      }
    }
    return extents
  }

  private func fitsInstant(_ extents: [Extent]?) -> Bool {
    guard let extents else { return false }
    return extents.reduce(0) { $0 + UInt64($1.range.count) } <= settings.instantBytes
  }

  // MARK: Frozen

  private mutating func frozen() {
    guard stage == .freezing else { return }
    if endReason != nil { return thaw(captured: false) }
    beginInstantTake()
  }

  private mutating func freezeFailed(_ reason: String) {
    guard stage == .freezing else { return }
    if let endReason { return finish(.ended(reason: endReason)) }
    freezeFailures += 1
    stage = .copying
    if freezeFailures >= settings.freezeFailures { end("the filesystems cannot be frozen: \(reason)") }
  }

  private mutating func captured(_ records: [LeafRecord]) {
    guard stage == .capturing else { return }
    for record in records { captured[record.address] = record }
    memory = capturing
    let wanted = Set(capturing.map { LeafAddress(disk: $0.disk, leaf: $0.range.lowerBound / settings.leaf) })
    precondition(wanted == Set(captured.keys), "a capture wants one record for each leaf it touches")
    thaw(captured: !isInstantOver)
  }

  private mutating func captureFailed() {
    guard stage == .capturing else { return }
    thaw(captured: false)
  }

  mutating func thaw(captured: Bool) {
    stage = .thawing(captured: captured)
    actions.append(.thaw)
  }

  private mutating func thawed(inTime: Bool) {
    switch stage {
    case .thawing(let captured):
      if let endReason { return finish(.ended(reason: endReason)) }
      stage = .sending
      if !captured || !inTime {
        giveInstantUp()
        noteStall()
      }
    case .holding, .capturing:
      // The watchdog was first: whatever is read now is not of the instant.
      isInstantOver = true
      if final && !sealRequested { end("the filesystems were thawed by the watchdog") }
    case .streaming where final && !resumesFinal, .sealing where final && !inTime:
      sealRequested = false
      finish(.ended(reason: "the filesystems were thawed by the watchdog"))
    default: break
    }
  }

  private mutating func deadline() {
    switch stage {
    case .freezing, .holding, .capturing, .streaming:
      if !final {
        isInstantOver = true
      } else if !sealRequested {
        end("the deadline for being frozen passed before the seal was requested")
      }
    default: break
    }
  }

  /// The instant is void: its bytes are read again, and another one follows.
  mutating func giveInstantUp() {
    (stage, isNearlyClean) = (.sending, false)
    let lost = unsettled
    unsettled = []
    abandon(lost)
    stage = .copying
    if !capturing.isEmpty {
      soil(captured.isEmpty ? capturing : memory)
      release()
    }
  }

  // MARK: The end

  /// Ends the sync; thaws before. Once the final seal was requested the sync goes on instead: whether it took place is
  /// not for this end to judge, and a frozen source without a sync would be neither running nor moved.
  mutating func end(_ reason: String) {
    if sealRequested { return }
    switch stage {
    case .freezing, .thawing: endReason = endReason ?? reason
    case .holding, .capturing, .streaming:
      endReason = reason
      thaw(captured: false)
    default: finish(.ended(reason: reason))
    }
  }

  mutating func finish(_ outcome: Outcome) {
    stage = .ended
    if !capturing.isEmpty { release() }
    if outcome == .sealed && final { actions.append(.powerOff) }
    actions.append(.finish(outcome))
  }
}
