import Blocks
import NIOPosix
import Replication
import Synchronization
import Transport
import Wire

/// Performs what a `SyncMachine` asks for: reads disks, speaks with the gateway, freezes and thaws. One instance runs
/// one sync, once.
///
/// The machine is owned by the loop in `run`; everything it asks for runs beside it and comes back as an event.
final class SyncDriver: Sendable {
  struct Settings: Sendable {
    var machine = SyncMachine.Settings()
    /// How long filesystems may stand still for a delta's instant, and for a final sync before its seal is requested.
    var instantDeadline: Duration = .seconds(2)
    var finalDeadline: Duration = .seconds(300)
    /// Between two flushes, where there is something to settle.
    var patience: Duration = .seconds(1800)
    /// Between two attempts at what was refused after the final seal was requested.
    var refusalPause: Duration = .seconds(15)
    /// For one frame.
    var frameTimeout: Duration = .seconds(60)
  }

  /// What the sync came to.
  struct Result: Sendable {
    var receipt: SealReceipt?
    var failure: SyncFailure?
    var progress: SyncProgress
    /// The final seal may be requested and the gateway has not decided it: only a later life of the agent can go on.
    var isUndecided = false
  }

  struct State {
    var chain: ManifestChain?
    var lastPart: (number: UInt64, bytes: [UInt8])?
    var capture: CapturedInstant?
    var receipt: SealReceipt?
    var failure: SyncFailure?
    /// Why the last freeze could not be done.
    var freezeFailure: SyncFailure?
    var progress: SyncMachine.Progress
    var wireBytes: UInt64 = 0
    var sentBytes: UInt64 = 0
    var frozenAt: ContinuousClock.Instant?
    var freezeMilliseconds: Double?
    /// Since when nothing comes through.
    var troubleSince: ContinuousClock.Instant?
    var replica: ReplicaWatch
    var hasAskedForSeal = false
    /// The replica was put back under a final sync that cannot end: what the gateway holds counts for nothing.
    var distrustsReplica = false
    /// The seal of a final sync is or may be requested: the sync goes on until the gateway's certain word is here.
    var isCommitted = false
    /// Freezes begun, so that an old deadline does not end a new instant.
    var freezes = 0
    /// Leaves that seals found to differ.
    var differing: UInt64 = 0
  }

  /// As it is before the first event.
  private let machine: SyncMachine
  let source: any SyncSource
  let gateway: GatewayClient
  let key: AgentKey
  let session: String
  let final: Bool
  let settings: Settings
  let pool: NIOThreadPool
  let buffers: BufferPool
  let pace: Pace
  let compression = CompressionChoice()
  let meter = SyncMeter()
  let claims: ClaimCache
  private let noteMemory: @Sendable (SyncDriver) throws -> Void
  let hush: @Sendable (Bool) -> Void
  let beforePowerOff: @Sendable (Result) async -> Void
  let state: Mutex<State>
  private let events: AsyncStream<SyncMachine.Event>
  private let continuation: AsyncStream<SyncMachine.Event>.Continuation

  /// - Parameters:
  ///   - memory: of the sync before, of the same source's marks.
  ///   - hush: called with true before filesystems freeze (no log line may be written from then on), with false after
  ///     they thawed.
  ///   - remember: notes `remembered`; it has changed, and something is to be built upon it. Blocks.
  ///   - beforePowerOff: last chance to say something to anyone.
  init(
    source: any SyncSource, gateway: GatewayClient, key: AgentKey, session: String,
    mode: SyncMachine.Mode, final: Bool, resumesFinal: Bool = false, scrub: ScrubWindow? = nil,
    memory: ReplicaMemory? = nil, limits: SyncCommand.Limits, pool: NIOThreadPool,
    settings: Settings = Settings(),
    hush: @escaping @Sendable (Bool) -> Void = { _ in },
    remember: @escaping @Sendable (SyncDriver) throws -> Void = { _ in },
    beforePowerOff: @escaping @Sendable (Result) async -> Void = { _ in }
  ) {
    (self.source, self.gateway, self.key, self.session, self.final) = (source, gateway, key, session, final)
    (self.settings, self.pool, self.hush, self.beforePowerOff) = (settings, pool, hush, beforePowerOff)
    noteMemory = remember
    pace = Pace(limits: limits, disks: source.disks.map(\.name))
    claims = ClaimCache(sizes: source.disks.map(\.reader.size))
    buffers = BufferPool(
      count: settings.machine.framesInFlight, size: settings.machine.frameLeaves * Int(Leaf.size))
    let disks = source.disks.map { SyncMachine.Disk(size: $0.reader.size, block: min($0.block, Leaf.size)) }
    machine = SyncMachine(
      mode: mode, final: final, resumesFinal: resumesFinal, scrub: scrub.map { $0.from..<max($0.from, $0.to) },
      disks: disks, settings: settings.machine)
    state = Mutex(State(progress: machine.progress, replica: ReplicaWatch(before: memory), isCommitted: resumesFinal))
    (events, continuation) = AsyncStream.makeStream()
  }

  /// Runs the sync to its end. Never throws: the result says what became of it.
  func run() async -> Result {
    var machine = machine
    var powersOff = false
    // An earlier life froze the filesystems; nothing may be logged while they are.
    if isCommitted { hush(true) }
    continuation.yield(.start)
    let ended = await withTaskCancellationHandler {
      await withDiscardingTaskGroup(returning: SyncMachine.Outcome.self) { group in
        defer { group.cancelAll() }
        for await event in events {
          if case .taken(let extents) = event { meter.taken(extents.reduce(0) { $0 + UInt64($1.range.count) }) }
          let actions = machine.handle(event)
          state.withLock { $0.progress = machine.progress }
          for action in actions {
            switch action {
            case .finish(let outcome): return outcome
            case .powerOff: powersOff = true
            default: begin(action, in: &group)
            }
          }
        }
        return .ended(reason: "cancelled")
      }
    } onCancel: {
      cancel(SyncFailure(code: "cancelled", message: "the sync was cancelled"))
    }
    // Only now, as the end of the group cancels what runs in it.
    if powersOff { await powerOff() }
    // What fails here was noted otherwise before, or is noted no more.
    try? await remember()
    return result(ended)
  }

  /// Stops the sync at the next frame; what was settled stays. False once the final seal was requested: then only what
  /// the gateway says ends it.
  @discardableResult
  func cancel(_ failure: SyncFailure) -> Bool {
    let isAllowed = state.withLock { state in
      if !state.isCommitted, state.failure == nil { state.failure = failure }
      return !state.isCommitted
    }
    // Where the commit comes just now, the machine does not act on it.
    if isAllowed { continuation.yield(.cancel(reason: failure.message)) }
    return isAllowed
  }

  /// Ends a final sync as the gateway has decided it.
  func conclude(_ conclusion: AgentCommand.Conclusion) {
    switch conclusion {
    case .sealed: continuation.yield(.alreadySealed)
    case .retired: continuation.yield(retirement("the platform ended the switch before its final seal"))
    }
  }

  /// The event that the session can never be sealed any more; it is the sync's failure from now on.
  func retirement(_ reason: String) -> SyncMachine.Event {
    state.withLock { $0.failure = SyncFailure(code: "session_retired", message: reason) }
    return .retired(reason: reason)
  }

  var isCommitted: Bool { state.withLock { $0.isCommitted } }

  private func result(_ ended: SyncMachine.Outcome) -> Result {
    let state = state.withLock { $0 }
    let progress = progress(of: state)
    switch ended {
    case .sealed: return Result(receipt: state.receipt, failure: nil, progress: progress)
    case .notConverging:
      let failure = meter.failure(
        rounds: state.progress.rounds + state.progress.instants, instantBytes: settings.machine.instantBytes)
      return Result(receipt: nil, failure: failure, progress: progress)
    case .targetUnreliable(let leaves):
      let failure = Self.unreliable(leaves: leaves, rounds: state.progress.mismatches)
      return Result(receipt: nil, failure: failure, progress: progress)
    case .ended(let reason):
      let failure = state.failure ?? state.freezeFailure ?? SyncFailure(code: "sync_ended", message: reason)
      return Result(receipt: nil, failure: failure, progress: progress, isUndecided: state.isCommitted)
    }
  }

  /// How far it is; may be asked at any time.
  var progress: SyncProgress { progress(of: state.withLock { $0 }) }

  private func progress(of state: State) -> SyncProgress {
    let now = state.progress
    let left = now.usedBytes - now.doneBytes
    let isCopying = now.phase == .copying || now.phase == .catchingUp
    return SyncProgress(
      phase: now.phase.rawValue, mode: SyncCommand.Mode(rawValue: now.mode.rawValue) ?? .compare, voided: now.voided,
      usedBytes: now.usedBytes, doneBytes: now.doneBytes, wireBytes: state.wireBytes, sentBytes: state.sentBytes,
      dirtyBytes: now.dirtyBytes, freezeMilliseconds: state.freezeMilliseconds, tracking: Self.rungs(source.tracking),
      forecast: isCopying ? meter.forecast(left) : nil, scrub: Self.findings(of: state), problem: problem(now))
  }

  /// As `SyncProgress.tracking`.
  private static func rungs(_ tracking: [AgentStatement.Tracking]) -> String {
    tracking.isEmpty ? "none" : Set(tracking.map(\.rung)).sorted().joined(separator: "+")
  }

  func feed(_ event: SyncMachine.Event) { continuation.yield(event) }

  private func begin(_ action: SyncMachine.Action, in group: inout DiscardingTaskGroup) {
    switch action {
    case .mark(let extents, let establishes):
      source.mark(extents, establishes: establishes)
      if establishes { state.withLock { $0.replica.established() } }
    case .settle(let extents): source.settle(extents)
    case .release: state.withLock { $0.capture = nil }
    case .finish: break
    default:
      // A frame belongs to the instant that was held when it was asked for, and is abandoned with it.
      let capture = state.withLock { $0.capture }
      group.addTask { [self] in
        do {
          if let event = try await performSurely(action, capture) { feed(event) }
        } catch is CancellationError {
          // The sync has ended; nobody waits for this answer.
        } catch { fail(error) }
      }
    }
  }

  /// Performs an action. Once the final seal was requested no failure ends the sync: it is waited out, and asked again.
  private func performSurely(
    _ action: SyncMachine.Action, _ instant: CapturedInstant?
  ) async throws -> SyncMachine.Event? {
    while true {
      do { return try await perform(action, instant) } catch {
        guard isCommitted, !(error is CancellationError) else { throw error }
        try await Task.sleep(for: settings.refusalPause)
        switch action {
        case .carry(let frame): return .epochClosed(frame.epoch)
        case .flush(let flush): return .epochClosed(flush.epoch)
        // The opening that follows is answered with the receipt, or with the session's end.
        case .seal(let epoch, _): return .epochClosed(epoch)
        default: continue
        }
      }
    }
  }

  private func perform(_ action: SyncMachine.Action, _ instant: CapturedInstant?) async throws -> SyncMachine.Event? {
    switch action {
    case .prepare(let restart): .prepared(try await prepare(restart: restart))
    case .open(let fresh): try await open(fresh: fresh)
    case .take(let syncFirst):
      switch try await onPool({ self.source.take(syncFirst: syncFirst) }) {
      case .taken(let extents): .taken(extents)
      case .lost(let reason): .trackingLost(reason: reason)
      case .failed(let failure): throw failure
      }
    case .carry(let frame): try await carry(frame, from: instant)
    case .flush(let flush): try await self.flush(flush)
    case .freeze(let hold): try await freeze(hold: hold)
    case .capture(let extents): try await capture(extents)
    case .thaw: try await thaw()
    case .seal(let epoch, let final): try await seal(epoch, final: final)
    case .mark, .settle, .release, .powerOff, .finish: nil
    }
  }

  private func prepare(restart: Bool) async throws -> SyncMachine.Prepared {
    var prepared = try await onPool { try self.source.prepare(restart: restart) }
    // A delta is prepared after the opening, which has shown whether its marks are of this replica.
    if !restart, let contradiction = state.withLock({ $0.replica.contradiction }) {
      (prepared.voided, prepared.pending) = (contradiction, [])
    }
    if restart { try await remember() }
    return prepared
  }

  func remember() async throws { try await onPool { try self.noteMemory(self) } }

  /// Ends the sync because of an error that waiting does not cure.
  private func fail(_ error: any Error) {
    switch error {
    case let error as SyncFailure: cancel(error)
    case let error as BlockError: cancel(SyncFailure(error))
    case let error as TransportError: cancel(SyncFailure(error))
    default: cancel(SyncFailure(code: "internal", message: "\(error)"))
    }
  }

  /// Runs what blocks on the thread pool.
  func onPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await pool.runIfActive(body)
  }
}
