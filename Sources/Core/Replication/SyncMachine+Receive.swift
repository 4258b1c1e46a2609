/// What each event changes. What follows from it is decided by `advance`.
extension SyncMachine {
  mutating func receive(_ event: Event) {
    switch event {
    case .start: break
    case .prepared(let prepared): receive(prepared)
    case .opened(let opened): receive(opened)
    case .alreadySealed: alreadySealed()
    case .retired(let reason): retired(reason)
    case .epochClosed(let epoch): epochClosed(epoch)
    case .carried(let sequence, let records): carried(sequence, records)
    case .lost(let sequence): lost(sequence)
    case .flushed(let epoch, let part): flushed(epoch, part)
    case .taken, .trackingLost, .frozen, .freezeFailed, .captured, .captureFailed, .thawed, .deadline:
      receiveInstant(event)
    case .sealed: sealed()
    case .mismatched(let leaves): mismatched(leaves)
    case .cancel(let reason): end(reason)
    }
  }

  // MARK: The disks

  private mutating func receive(_ prepared: Prepared) {
    guard case .preparing(let restarted) = tracking else { return }
    // A source that stays frozen needs no tracker for its walk.
    if let reason = prepared.voided, !(restarted && sealRequested) {
      tracking = .idle
      return trackingLost(reason)
    }
    (tracking, isUntracked) = (.ready, prepared.voided != nil)
    for (disk, ranges) in prepared.used.enumerated() {
      for range in ranges { maps[disk].used.insert(maps[disk].leaves(of: range)) }
    }
    soil(prepared.pending)
    if restarted { walk() }
    if stage == .starting { stage = resumesFinal ? .streaming : .copying }
    if resumesFinal && !restarted { beginInstantTake() }
    if epoch != nil { completeReplica() }
    beginScrub()
  }

  /// Everything in use is looked at; what the gateway holds of the rest is worth nothing any more.
  private mutating func walk() {
    var marks: [Extent] = []
    for disk in maps.indices {
      var next = 0
      while let run = maps[disk].used.run(from: next) {
        let bytes =
          maps[disk].bytes(ofLeaf: run.lowerBound)
          .lowerBound..<maps[disk].bytes(
            ofLeaf: run.upperBound - 1
          ).upperBound
        marks.append(Extent(disk: UInt16(disk), range: bytes))
        maps[disk].dirty.insert(maps[disk].blocks(of: bytes))
        next = run.upperBound
      }
      maps[disk].comparable = maps[disk].used
      for carried in unsettled where Int(carried.frame.disk) == disk {
        for leaf in carried.frame.leaves { maps[disk].comparable[Int(leaf)] = false }
      }
    }
    actions.append(.mark(marks, establishes: true))
    hasWalked = true
    endScrub()
    (stalls, leastDirty) = (0, .max)
  }

  /// Counts a loss of tracking: everything is compared, as often as the settings allow.
  mutating func trackingLost(_ reason: String) {
    losses += 1
    voided = reason
    if mode == .delta { mode = .compare }
    tracking = .idle
    if losses > settings.trackingLosses { end("the disks cannot be tracked: \(reason)") }
  }

  // MARK: The link

  private mutating func receive(_ opened: Opened) {
    guard case .opening(let fresh) = link else { return }
    (link, opensFresh) = (.open(opened.epoch), false)
    for disk in maps.indices { maps[disk].held = opened.held[disk] }
    let sent = flushing
    flushing = nil
    if fresh {
      nextPart = opened.parts
      for disk in maps.indices { maps[disk].recorded.removeAll() }
    }
    if let sent, opened.parts == nextPart + 1 {
      settle(sent)
    } else if opened.parts == nextPart {
      if let sent { abandon(sent.frames) }
    } else {
      // The gateway lost parts of the manifest: it begins anew.
      if let sent { abandon(sent.frames) }
      (link, opensFresh) = (.closed, true)
      return
    }
    loose = []
    if tracking == .ready || tracking == .taking { completeReplica() }
  }

  /// What the gateway knows nothing of is sent where it is in use, and said to be free where it is not.
  private mutating func completeReplica() {
    for disk in maps.indices {
      if hasWalked { maps[disk].distrustUnused() }
      var missing: [Range<Int>] = []
      var free: [Range<Int>] = []
      for leaf in 0..<maps[disk].leafCount where !maps[disk].held[leaf] && !maps[disk].recorded[leaf] {
        if !maps[disk].used[leaf] {
          free.append(joining: leaf)
        } else if captured[LeafAddress(disk: UInt16(disk), leaf: UInt64(leaf))] == nil, !maps[disk].busy[leaf] {
          missing.append(joining: leaf)
        }
      }
      loose += free.map {
        LeafRecord(disk: UInt16(disk), leaf: UInt64($0.lowerBound), run: UInt32($0.count), kind: .free)
      }
      resend(missing, of: disk)
    }
  }

  /// These leaves are marked and sent as a whole.
  private mutating func resend(_ leaves: [Range<Int>], of disk: Int) {
    guard !leaves.isEmpty else { return }
    let marks = leaves.map { run in
      Extent(
        disk: UInt16(disk),
        range: maps[disk].bytes(ofLeaf: run.lowerBound)
          .lowerBound..<maps[disk].bytes(ofLeaf: run.upperBound - 1)
          .upperBound)
    }
    for run in leaves { maps[disk].held.remove(run) }
    actions.append(.mark(marks, establishes: false))
    soil(marks)
  }

  private mutating func epochClosed(_ closed: Epoch) {
    guard epoch == closed else { return }
    link = .closed
    if stage == .sealing { stage = final ? .streaming : .sending }
    let lost = unsettled
    unsettled = []
    abandon(lost)
  }

  // MARK: Frames

  private mutating func carried(_ sequence: Sequence, _ records: [LeafRecord]) {
    guard let index = unsettled.firstIndex(where: { $0.frame.sequence == sequence }),
      unsettled[index].records == nil
    else { return }
    let frame = unsettled[index].frame
    if frame.origin == .memory {
      unsettled[index].records = frame.leaves.compactMap { captured[LeafAddress(disk: frame.disk, leaf: $0)] }
      return
    }
    precondition(
      records.map(\.leaf) == frame.leaves && records.allSatisfy { $0.disk == frame.disk && $0.run == 1 },
      "a carried frame wants one record for each of its leaves, in order")
    precondition(
      records.allSatisfy { !$0.equal || frame.comparable.contains($0.leaf) }, "only comparable leaves are found equal")
    unsettled[index].records = records
    noteScrubbed(records, comparable: frame.comparable)
  }

  private mutating func lost(_ sequence: Sequence) {
    guard let index = unsettled.firstIndex(where: { $0.frame.sequence == sequence }),
      unsettled[index].records == nil
    else { return }
    abandon([unsettled.remove(at: index)])
  }

  /// These frames may or may not have been written, or may be lost again: their bytes are sent anew.
  mutating func abandon(_ frames: [Carried]) {
    for carried in frames {
      for leaf in carried.frame.leaves { maps[Int(carried.frame.disk)].busy[Int(leaf)] = false }
      if carried.frame.origin == .memory && stage == .sending {
        memory += carried.frame.extents
      } else {
        soil(carried.frame.extents)
      }
    }
  }

  private mutating func flushed(_ answered: Epoch, _ part: UInt64) {
    guard let sent = flushing, sent.part == part, epoch == answered else { return }
    flushing = nil
    settle(sent)
  }

  /// Everything in this flush is durable.
  private mutating func settle(_ sent: Flushing) {
    nextPart += 1
    for record in sent.loose { maps[Int(record.disk)].recorded.insert(record.leaves) }
    var extents: [Extent] = []
    for carried in sent.frames {
      let disk = Int(carried.frame.disk)
      for leaf in carried.frame.leaves {
        maps[disk].busy[Int(leaf)] = false
        maps[disk].recorded[Int(leaf)] = true
      }
      for extent in carried.frame.extents {
        let leaves = maps[disk].leaves(of: extent.range)
        if extent.range == maps[disk].bytes(ofLeaf: leaves.lowerBound) { maps[disk].held[leaves.lowerBound] = true }
      }
      for leaf in carried.frame.leaves { captured[LeafAddress(disk: carried.frame.disk, leaf: leaf)] = nil }
      extents += carried.frame.extents
    }
    deferredSettles += extents
    clearMarks()
  }

  /// Clears the pending marks of what is settled, except where it is dirty again. Not while a take is under way: a block
  /// that it is just moving would lose its mark.
  mutating func clearMarks() {
    guard tracking != .taking, !deferredSettles.isEmpty else { return }
    var clean: [Extent] = []
    for extent in deferredSettles {
      let map = maps[Int(extent.disk)]
      let blocks = map.blocks(of: extent.range)
      var next = blocks.lowerBound
      while next < blocks.upperBound, let start = map.dirty.nextClear(from: next), start < blocks.upperBound {
        let end = min(map.dirty.next(from: start) ?? blocks.upperBound, blocks.upperBound)
        clean.append(Extent(disk: extent.disk, range: map.bytes(ofBlocks: start..<end)))
        next = end
      }
    }
    deferredSettles = []
    if !clean.isEmpty { actions.append(.settle(clean)) }
  }

  // MARK: The end

  private mutating func alreadySealed() {
    if final && !sealRequested { return end("the session is sealed already and the source runs") }
    if case .opening = link { return finish(.sealed) }
    if final { finish(.sealed) }
  }

  private mutating func retired(_ reason: String) {
    let wasRequested = sealRequested
    sealRequested = false
    guard wasRequested else { return end(reason) }
    endReason = reason
    thaw(captured: false)
  }

  private mutating func sealed() {
    guard stage == .sealing else { return }
    finish(.sealed)
  }

  private mutating func mismatched(_ leaves: [LeafAddress]) {
    guard stage == .sealing, let epoch else { return }
    let known = leaves.filter { maps.indices.contains(Int($0.disk)) && $0.leaf < maps[Int($0.disk)].leafCount }
    if known.isEmpty {
      return sealRequested ? epochClosed(epoch) : end("the gateway refuses the seal and names no leaf of the disks")
    }
    stage = final ? .streaming : .copying
    isNearlyClean = false
    for disk in maps.indices {
      var runs: [Range<Int>] = []
      for address in known where Int(address.disk) == disk { runs.append(joining: Int(address.leaf)) }
      resend(runs, of: disk)
    }
    (mismatches, differing) = (mismatches + 1, known.count)
    // A final sync goes on until the gateway has decided it; its driver says what is wrong.
    if mismatches >= settings.mismatchRounds, !sealRequested { finish(.targetUnreliable(leaves: known.count)) }
  }
}

extension [Range<Int>] {
  /// Adds one position, to the last run where it follows on it.
  mutating func append(joining position: Int) {
    if let last, last.upperBound == position {
      self[count - 1] = last.lowerBound..<position + 1
    } else {
      append(position..<position + 1)
    }
  }
}
