import Blocks
import Replication
import Synchronization
import Transport
import Wire

extension SyncDriver {
  /// Repeats a request until it is answered, or refused for good.
  private func persist<Answer: Sendable>(_ request: () async throws -> Answer) async throws -> Answer {
    while true {
      do {
        let answer = try await request()
        troublesAreOver()
        return answer
      } catch let error as TransportError where error.isTransient {
        // Lasts as long as it takes to read a disk, and goes on.
        guard error.problemCode != "reading_volume" else {
          troublesAreOver()
          try await Task.sleep(for: .seconds(1))
          continue
        }
        try await waitOut(error)
      }
    }
  }

  func open(fresh: Bool) async throws -> SyncMachine.Event {
    let answer: OpenAnswer
    do { answer = try await persist { try await gateway.open(fresh: fresh) } } catch let error as TransportError
      where error.problemCode == "superseded"
    {
      return retirement("\(error)")
    }
    let follows = state.withLock { $0.replica.opened(answer) }
    if let receipt = answer.receipt {
      state.withLock { $0.receipt = receipt }
      return .alreadySealed
    }
    let epoch = Epoch(rawValue: answer.epoch)
    let nothing = source.disks.map { Bitmap(count: Int(Leaf.count(bytes: $0.reader.size))) }
    do {
      if !follows { try distrustReplica() }
      try resumeChain(answer, fresh: fresh)
    } catch {
      state.withLock { state in
        state.replica.diverged()
        if state.isCommitted { state.distrustsReplica = true }
      }
      guard isCommitted else { throw error }
      // More parts than anyone made: the machine begins the manifest anew.
      return .opened(.init(epoch: epoch, parts: .max, held: nothing))
    }
    try await remember()
    claims.begin(epoch)
    // The machine sends everything that is not held and not in its manifest.
    if state.withLock({ $0.distrustsReplica }) {
      return .opened(.init(epoch: epoch, parts: answer.parts, held: nothing))
    }
    do { return .opened(.init(epoch: epoch, parts: answer.parts, held: try await held())) } catch let error
      as TransportError where error.problemCode == "epoch_closed"
    {
      // The gateway was started anew since it answered.
      try await Task.sleep(for: .seconds(1))
      return try await open(fresh: fresh)
    }
  }

  /// Which leaves the gateway holds, by disk.
  private func held() async throws -> [Bitmap] {
    var held: [Bitmap] = []
    for (index, disk) in source.disks.enumerated() {
      let leaves = Int(Leaf.count(bytes: disk.reader.size))
      held.append(try await persist { try await gateway.held(disk: UInt16(index), leaves: leaves) })
    }
    return held
  }

  /// What was settled in this sync may be lost. Ends it, unless the final seal was requested: then the frozen source is
  /// sent as a whole.
  private func distrustReplica() throws {
    if isCommitted { return state.withLock { $0.distrustsReplica = true } }
    throw SyncFailure(
      code: "replica_put_back",
      message:
        "the gateway was put back to an earlier state during this sync; start the sync anew: it compares all that "
        + "is in use")
  }

  /// Brings our chain to where the gateway's is: it may have stored the last part without our hearing of it.
  private func resumeChain(_ answer: OpenAnswer, fresh: Bool) throws {
    try state.withLock { state in
      if fresh || state.chain == nil {
        state.chain = ManifestChain(session: session, previous: answer.previous)
        state.lastPart = nil
      }
      guard var chain = state.chain else { return }
      if let last = state.lastPart, last.number == chain.parts, answer.parts == chain.parts + 1 {
        chain.append(part: last.bytes)
        state.chain = chain
      }
      guard answer.parts == chain.parts, answer.chain == chain.hex else {
        throw SyncFailure(
          code: "manifest_diverged",
          message: "the gateway holds \(answer.parts) manifest parts with chain \(answer.chain), this agent "
            + "\(chain.parts) with \(chain.hex); start the sync anew")
      }
    }
  }

  func flush(_ flush: SyncMachine.Flush) async throws -> SyncMachine.Event {
    let part = LeafRecord.encode(flush.records)
    state.withLock { $0.lastPart = (flush.part, part) }
    do {
      let answer = try await meter.measure(.target) {
        try await persist {
          try await gateway.flush(epoch: flush.epoch, through: flush.through, part: flush.part, records: part)
        }
      }
      try state.withLock { state in
        // A reopening may have found that this part was stored.
        if state.chain?.parts == flush.part { state.chain?.append(part: part) }
        guard state.chain?.hex == answer.chain else {
          state.replica.diverged()
          throw SyncFailure(
            code: "manifest_diverged", message: "the gateway's chain after part \(flush.part) is not ours; start anew")
        }
      }
      // Only then the marks are settled.
      try await remember()
      return .flushed(flush.epoch, part: flush.part)
    } catch let error as TransportError where error.problemCode == "epoch_closed" {
      return .epochClosed(flush.epoch)
    }
  }

  /// Before the final seal is requested. From its first step on no cancellation counts. False where nothing is frozen any
  /// more: the watchdog was first, or something was written that could not be frozen.
  private func commit() async throws -> Bool {
    state.withLock { $0.isCommitted = true }
    var failure: SyncFailure?
    do {
      if try await onPool({ try self.source.commit() }) { return true }
    } catch { failure = error as? SyncFailure ?? SyncFailure(code: "freeze_failed", message: "\(error)") }
    state.withLock { ($0.isCommitted, $0.frozenAt, $0.freezeFailure) = (false, nil, failure) }
    hush(false)
    return false
  }

  func seal(_ epoch: Epoch, final: Bool) async throws -> SyncMachine.Event {
    if final, !(try await commit()) { return .thawed(inTime: false) }
    guard let chain = state.withLock({ $0.chain }) else {
      throw SyncFailure(code: "internal", message: "a seal was asked for before the session was open")
    }
    state.withLock { $0.hasAskedForSeal = true }
    try await remember()
    let request = SealRequest(
      epoch: epoch.rawValue, chain: chain.hex, signature: try chain.sign(with: key), consistency: source.consistency)
    var wait = Duration.milliseconds(50)
    while true {
      do {
        let answer = try await persist { try await gateway.seal(request) }
        switch answer.state {
        case .sealed:
          state.withLock { $0.receipt = answer.receipt }
          return .sealed
        case .mismatched:
          state.withLock { $0.differing += UInt64(answer.mismatches.count) }
          return try await mismatched(answer)
        case .reading: break
        }
      } catch let error as TransportError where error.problemCode == "epoch_closed" {
        return .epochClosed(epoch)
      }
      try await Task.sleep(for: wait)
      wait = min(wait * 2, .seconds(1))
    }
  }

  /// A gateway that names leaves which the disks do not have is broken, and not asked again at once.
  private func mismatched(_ answer: SealAnswer) async throws -> SyncMachine.Event {
    let leaves = answer.mismatches.compactMap { pair -> LeafAddress? in
      guard pair.count == 2, let disk = UInt16(exactly: pair[0]), source.disks.indices.contains(Int(disk)),
        pair[1] < Leaf.count(bytes: source.disks[Int(disk)].reader.size)
      else { return nil }
      return LeafAddress(disk: disk, leaf: pair[1])
    }
    let isRepeated = state.withLock { $0.progress.mismatches } + 1 >= settings.machine.mismatchRounds
    if leaves.isEmpty || isRepeated, isCommitted { try await Task.sleep(for: settings.refusalPause) }
    return .mismatched(leaves)
  }
}
