import Crypto
import FoundationEssentials
import Logging
import NIOPosix
import Replication
import Synchronization
import Wire

/// A seal under way or ended; a request that asks for the same again gets its outcome.
struct SealJob: Sendable {
  enum Outcome: Hashable, Sendable {
    case running
    case ended(ReplicaMachine.Reply)
  }

  var session: String
  var request: SealRequest
  /// The machine's name for it.
  var id: ReplicaMachine.Request
  var outcome = Outcome.running
  var readBack: ReadBack?
  var result: ReadBack.Outcome?
  var started = ContinuousClock.now
  /// Requests that wait for the outcome.
  var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
}

extension Replica {
  /// Asks for a seal, or for the outcome of the one that runs, waiting at most until a timer fires.
  ///
  /// - Parameter timer: called with what the timer is to do.
  func seal(
    session: String, request: SealRequest, timer: (@escaping @Sendable () -> Void) -> Void
  ) async throws -> SealAnswer {
    let (actions, ticket) = try state.withLock { state throws(Problem) in try state.beginSeal(session, request) }
    perform(actions)
    await withCheckedContinuation { continuation in
      let ended = state.withLock { state in
        guard state.seal?.outcome == .running else { return true }
        state.seal?.waiters[ticket] = continuation
        return false
      }
      if ended { return continuation.resume() }
      timer { [weak self] in self?.endWait(ticket) }
    }
    return try sealAnswer(session: session)
  }

  private func endWait(_ ticket: Int) {
    state.withLock { $0.seal?.waiters.removeValue(forKey: ticket) }?.resume()
  }

  private func sealAnswer(session: String) throws -> SealAnswer {
    let job = state.withLock { $0.seal }
    guard let job, job.session == session else { throw Problem.epochClosed }
    let total = job.readBack?.total ?? 0
    guard case .ended(let reply) = job.outcome else {
      return SealAnswer(state: .reading, readBack: job.readBack?.progress ?? 0, total: total)
    }
    switch reply {
    case .sealed:
      let receipt = try store.withLock { try $0.receipt(of: session) }
      return SealAnswer(state: .sealed, readBack: total, total: total, receipt: receipt)
    case .mismatched(let leaves):
      let pairs = leaves.prefix(ReadBack.maximumMismatches).map { [UInt64($0.disk), $0.leaf] }
      return SealAnswer(state: .mismatched, readBack: total, total: total, mismatches: pairs)
    case .refused(let refusal): throw Problem(refusal)
    case .opened, .alreadySealed, .acknowledged, .flushed, .retired:
      throw Problem.failed("the replica answered a seal with something else")
    }
  }

  /// The machine answered a request that no connection waits for: the seal's.
  func sealReplied(_ request: Request, _ reply: Reply) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      guard state.seal?.id == request else { return [] }
      state.seal?.outcome = .ended(reply)
      defer { state.seal?.waiters = [:] }
      return state.seal.map { Array($0.waiters.values) } ?? []
    }
    for waiter in waiters { waiter.resume() }
  }

  func startReadBack(_ request: Request) {
    do {
      let chain = state.withLock { $0.seal?.request.chain }
      let last = try store.withLock { store in
        guard store.log.chain.hex == chain else { throw Problem.badRequest("out_of_order", "the chain moved on") }
        return try store.log.lastRecords(counts: disks.map(\.map.count))
      }
      let readBack = ReadBack(disks: disks, last: last, workers: threads) { [weak self] in
        // The replica keeps its last read-back: with a strong reference neither would ever let its volumes go.
        self?.readBackEnded(request, $0)
      }
      state.withLock { $0.seal?.readBack = readBack }
      for _ in 0..<threads { onPool { _ in readBack.work() } }
    } catch { feed(.failed(request, reason: "\(error)")) }
  }

  private func readBackEnded(_ request: Request, _ result: Result<ReadBack.Outcome, ReadBack.ReadBackFailure>) {
    switch result {
    case .failure(let failure):
      logger.error("read-back failed", metadata: ["error": "\(failure.reason)"])
      // A handle that cannot be read will not mend by itself.
      state.withLock { $0.isBroken = true }
      feed(.failed(request, reason: failure.reason))
    case .success(let outcome):
      state.withLock { $0.seal?.result = outcome }
      feed(.readBackDone(request, mismatches: outcome.mismatches))
    }
  }

  // MARK: Storing it

  /// Maps first, then their versions, then the receipt; the record, last, makes it count. A crash before leaves leaves
  /// sealed that were indeed read back, and the session open.
  func storeSeal(_ request: Request) {
    stored(request, .sealStored(request)) { disks in
      guard let job = state.withLock({ $0.seal }), job.id == request, let result = job.result else {
        throw StoreError("seal", "\(request)", reason: "there is no outcome of a read-back")
      }
      for (index, disk) in disks.enumerated() {
        try disk.map.seal(result.agreed[index])
        try disk.map.version(as: ReplicaStore.name(job.session))
      }
      let receipt = try receipt(for: job, result)
      try store.withLock { try $0.storeSeal(receipt) }
    }
  }

  private func receipt(for job: SealJob, _ result: ReadBack.Outcome) throws -> SealReceipt {
    let elapsed = ContinuousClock.now - job.started
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    let receipt = SealReceipt(
      session: job.session, migration: state.withLock { $0.migration }, chain: job.request.chain,
      agentSignature: job.request.signature, consistency: job.request.consistency,
      disks: try disks.map { try Self.describe($0) }, sealedAt: now(), readBackLeaves: result.leaves,
      readBackSeconds: (seconds * 1000).rounded() / 1000, gatewayKey: "", gatewaySignature: "")
    return try receipt.signed(by: key)
  }

  private static func describe(_ disk: ReplicaDisk) throws -> SealReceipt.Disk {
    let (root, counts) = try disk.map.summary()
    return SealReceipt.Disk(
      volume: disk.grant.volume, root: root, dataLeaves: counts[.data] ?? 0, zeroLeaves: counts[.zero] ?? 0,
      freeLeaves: (counts[.free] ?? 0) + (counts[.unknown] ?? 0))
  }
}

extension SealJob {
  /// Whether asking again for the same gives this job's outcome rather than a new attempt.
  var isWorthWaiting: Bool {
    switch outcome {
    case .running, .ended(.mismatched), .ended(.sealed): true
    case .ended: false
    }
  }
}

extension Replica.State {
  /// Joins the seal that was asked for in the same words, or begins one.
  mutating func beginSeal(
    _ session: String, _ request: SealRequest
  ) throws(Problem) -> (actions: [ReplicaMachine.Action], ticket: Int) {
    guard !isRetired else { throw .epochClosed }
    let ticket = Int(newRequest())
    if let seal, seal.session == session, seal.request == request, seal.isWorthWaiting { return ([], ticket) }
    guard seal?.outcome != .running else { throw .busy("another seal of these volumes is under way") }
    let id = newRequest()
    seal = SealJob(session: session, request: request, id: id)
    // That the chain is the one over these parts is checked again when the read-back starts.
    let event = ReplicaMachine.Event.seal(
      id, session: session, epoch: Epoch(rawValue: request.epoch), parts: machine.stored.parts)
    return (machine.handle(event), ticket)
  }
}
