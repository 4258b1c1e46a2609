/// Opening, flush, seal and conclusion.
extension ReplicaMachine {
  /// Starts the first job, or the next where the first can be answered at once.
  mutating func startJobs() {
    while step == nil || step == .draining, let job = jobs.first {
      if job.isExclusive && !running.isEmpty {
        step = .draining
        return
      }
      step = nil
      switch job.kind {
      case .open(let ordinal, let fresh): startOpening(job, ordinal: ordinal, fresh: fresh)
      case .flush(let epoch, let through, let part, let records):
        startFlush(job, epoch: epoch, through: through, part: part, records: records)
      case .seal(let epoch, let parts): startSeal(job, epoch: epoch, parts: parts)
      case .conclude(let ordinal): startConclusion(job, ordinal: ordinal)
      }
      if step != nil { return }
    }
  }

  /// Answers the first job.
  mutating func endJob(_ reply: Reply) {
    actions.append(.reply(jobs.removeFirst().request, reply))
    step = nil
  }

  private mutating func startOpening(_ job: Job, ordinal: UInt64, fresh: Bool) {
    let isNew = stored.session != job.session
    if isNew ? ordinal <= stored.ordinal : ordinal < stored.ordinal { return endJob(.refused(.superseded)) }
    if stored.sealed && stored.session == job.session {
      return endJob(.alreadySealed(epoch: stored.epoch, parts: stored.parts))
    }
    var new = stored
    new.ordinal = ordinal
    if isNew { (new.session, new.sealed) = (job.session, false) }
    if isNew || fresh { new.parts = 0 }
    store(new, job, dropManifest: isNew || fresh)
  }

  /// Decides a session for good. It is retired by giving its place to nobody.
  private mutating func startConclusion(_ job: Job, ordinal: UInt64) {
    let isLast = stored.session == job.session
    if isLast && stored.sealed { return endJob(.sealed) }
    if !isLast && ordinal <= stored.ordinal { return endJob(.retired) }
    var new = stored
    (new.session, new.ordinal) = (nil, max(ordinal, stored.ordinal))
    (new.parts, new.sealed) = (0, false)
    store(new, job, dropManifest: true)
  }

  /// Closes the epoch and begins the next.
  private mutating func store(_ next: Stored, _ job: Job, dropManifest: Bool) {
    epochIsOpen = false
    var new = next
    lastEpoch = Epoch(rawValue: max(lastEpoch, stored.epoch).rawValue + 1)
    new.epoch = lastEpoch
    step = .storingOpening(new)
    actions.append(.storeOpening(job.request, new, dropManifest: dropManifest))
  }

  private mutating func startFlush(
    _ job: Job, epoch: Epoch, through: Sequence, part: UInt64, records: [LeafRecord]
  ) {
    if let refusal = refusal(session: job.session, epoch: epoch) { return endJob(.refused(refusal)) }
    if part + 1 == stored.parts, through == self.through { return endJob(.flushed(through: through)) }
    guard part == stored.parts, through >= self.through else { return endJob(.refused(.outOfOrder)) }
    self.through = through
    step = .flushing(claims: records.filter { $0.kind != .free && isClaimable($0) })
    actions.append(.flushVolumes(job.request))
  }

  private mutating func startSeal(_ job: Job, epoch: Epoch, parts: UInt64) {
    if stored.sealed && stored.session == job.session { return endJob(.sealed) }
    if let refusal = refusal(session: job.session, epoch: epoch) { return endJob(.refused(refusal)) }
    touched = touched.filter { $0.value.sequence > through }
    guard touched.isEmpty, parts == stored.parts else { return endJob(.refused(.outOfOrder)) }
    step = .readingBack
    actions.append(.readBack(job.request))
  }

  /// Whether one settled frame alone wrote all of this leaf, and has ended.
  private func isClaimable(_ record: LeafRecord) -> Bool {
    guard !record.equal, record.run == 1, let touched = touched[record.address] else { return false }
    return touched.sequence <= through && touched.whole && !touched.running
  }

  mutating func jobAnswered(_ event: Event) {
    if case .failed(let request, let reason) = event { return failed(request, reason: reason) }
    switch (event, step) {
    case (.openingStored, .storingOpening(let new)): openingStored(new)
    case (.volumesFlushed, .flushing(let claims)): storePart(claims)
    case (.partStored, .storingPart(let claims)): partStored(claims)
    case (.readBackDone(_, let mismatches), .readingBack): readBackDone(mismatches)
    case (.sealStored, .storingSeal(let becoming)): sealStored(becoming)
    default: break
    }
  }

  private mutating func openingStored(_ new: Stored) {
    stored = new
    epochIsOpen = new.session != nil
    through = Sequence(rawValue: 0)
    touched = [:]
    endJob(epochIsOpen ? .opened(epoch: new.epoch, parts: new.parts) : .retired)
  }

  /// The volumes are flushed: what was claimable before the flush and was not touched since is claimed.
  private mutating func storePart(_ candidates: [LeafRecord]) {
    guard let job = jobs.first, case .flush(_, _, let part, let records) = job.kind else { return }
    var last: [LeafAddress: LeafRecord] = [:]
    for record in candidates where isClaimable(record) { last[record.address] = record }
    let claims = last.values.sorted { ($0.disk, $0.leaf) < ($1.disk, $1.leaf) } + freeClaims(records)
    for claim in claims {
      unknown[Int(claim.disk)].remove(claim.leaves)
      if claim.kind == .free { held[Int(claim.disk)].remove(claim.leaves) }
    }
    step = .storingPart(claims: claims)
    actions.append(.storePart(job.request, number: part, records: records, claims: claims))
  }

  /// The leaves of free records that no frame has touched.
  private func freeClaims(_ records: [LeafRecord]) -> [LeafRecord] {
    var claims: [LeafRecord] = []
    for record in records where record.kind == .free {
      let dirty = touched.keys.filter { $0.disk == record.disk && record.leaves.contains(Int($0.leaf)) }
      var clean = record.leaves.lowerBound
      for leaf in dirty.map({ Int($0.leaf) }).sorted() + [record.leaves.upperBound] {
        if clean < leaf {
          claims.append(LeafRecord(disk: record.disk, leaf: UInt64(clean), run: UInt32(leaf - clean), kind: .free))
        }
        clean = leaf + 1
      }
    }
    return claims
  }

  private mutating func partStored(_ claims: [LeafRecord]) {
    stored.parts += 1
    for claim in claims where claim.kind != .free { held[Int(claim.disk)].insert(claim.leaves) }
    let settled = through
    touched = touched.filter { $0.value.sequence > settled || $0.value.running }
    endJob(.flushed(through: through))
  }

  private mutating func readBackDone(_ mismatches: [LeafAddress]) {
    guard let request = jobs.first?.request else { return }
    if mismatches.isEmpty {
      step = .storingSeal(becoming: unknown)
      for disk in unknown.indices { unknown[disk].removeAll() }
      actions.append(.storeSeal(request))
    } else {
      step = .markingMismatches(mismatches)
      actions.append(.markUnknown(request, mismatches))
    }
  }

  private mutating func sealStored(_ becoming: [Bitmap]) {
    stored.sealed = true
    epochIsOpen = false
    for disk in held.indices { held[disk].formUnion(becoming[disk]) }
    endJob(.sealed)
  }

  /// A step failed: what is durable is not known, so the epoch is closed.
  private mutating func failed(_ request: Request, reason: String) {
    if running[request] != nil {
      epochIsOpen = false
      frameEnded(request, failure: .failed(reason))
    } else if jobs.first?.request == request {
      if step != .readingBack { epochIsOpen = false }
      endJob(.refused(.failed(reason)))
    }
  }
}

extension LeafRecord {
  /// The leaves it speaks of, as positions in a bitmap.
  var leaves: Range<Int> { Int(leaf)..<Int(leaf) + Int(run) }
}
