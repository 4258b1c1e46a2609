import Blocks
import Frames
import Logging
import NIOPosix
import Replication
import Synchronization
import Wire

/// One replica at work: its volumes, its store, and the machine that says what may happen when.
///
/// The machine is called under a lock and does nothing itself; what it asks for runs on the thread pool, and the outcome
/// is fed back. After its storage failed a replica is `isBroken` and must be loaded anew from what is on disk.
final class Replica: Sendable {
  typealias Request = ReplicaMachine.Request
  typealias Reply = ReplicaMachine.Reply

  struct State {
    var machine: ReplicaMachine
    var nextRequest: Request = 1
    /// Requests that wait for their answer.
    var waiters: [Request: CheckedContinuation<Reply, Never>] = [:]
    /// Frames that are not written yet.
    var frames: [Request: Frame] = [:]
    /// Leaves to be marked unknown with the next sync of the maps; several frames share one.
    var marks: [(request: Request, leaves: [LeafAddress])] = []
    var isMarking = false
    /// Requests that failed as there was no room.
    var full: Set<Request> = []
    var isBroken = false
    /// Another took its place; nothing is served any more.
    var isRetired = false
    /// Pieces of work begun or queued, threads of the pool in use, and what waits for one.
    var working = 0
    var threadsInUse = 0
    var queue: [@Sendable (Replica) -> Void] = []
    /// The grant of the last opening, its receipt's facts and the seal under way.
    var migration: String
    var seal: SealJob?
    /// Of volumes of which nothing is known: under way or ended, and why it failed.
    var reading: VolumeReading?
    var readingFailure: String?
  }

  let disks: [ReplicaDisk]
  let sizes: [UInt64]
  let key: AgentKey
  let pool: NIOThreadPool
  let threads: Int
  let logger: Logger
  let now: @Sendable () -> Int
  let state: Mutex<State>
  let store: Mutex<ReplicaStore>

  /// - Parameters:
  ///   - key: what receipts are signed with.
  ///   - threads: how many threads of the pool this replica may use at once.
  init(
    disks: [ReplicaDisk], store: consuming sending ReplicaStore, key: AgentKey, pool: NIOThreadPool, threads: Int,
    logger: Logger, now: @escaping @Sendable () -> Int
  ) {
    (self.disks, self.key, self.pool, self.threads, self.logger) = (disks, key, pool, threads, logger)
    self.now = now
    sizes = disks.map(\.grant.size)
    let machine = ReplicaMachine(
      stored: store.stored, held: disks.map { $0.map.held() }, unknown: disks.map { $0.map.unknown() })
    state = Mutex(State(machine: machine, migration: store.record.migration))
    self.store = Mutex(store)
  }

  /// Whether what is in memory may differ from what is on disk.
  var isBroken: Bool { state.withLock { $0.isBroken } }

  /// Ends this replica if nothing is under way: from then on it touches neither volumes nor store.
  ///
  /// - Returns: whether it ended; false while there is work.
  func retire() -> Bool {
    state.withLock { state in
      guard state.working == 0, state.waiters.isEmpty else { return false }
      state.isRetired = true
      return true
    }
  }

  /// The session that opened last.
  var session: String? { state.withLock { $0.machine.stored.session } }

  /// For one disk the leaves whose whole content is known.
  func held(_ disk: Int) -> Bitmap { state.withLock { $0.machine.held[disk] } }

  // MARK: Requests

  /// Hands the machine a request and waits for its answer.
  func ask(_ event: (Request) -> ReplicaMachine.Event) async -> Reply {
    await withCheckedContinuation { continuation in
      submit(continuation) { request, state in state.machine.handle(event(request)) }
    }
  }

  func open(_ grant: SessionGrant, fresh: Bool) async -> Reply {
    state.withLock { $0.migration = grant.migration }
    return await ask { .open($0, session: grant.session, ordinal: grant.ordinal, fresh: fresh) }
  }

  /// Has the machine decide a session for good, unless its seal is under way: that decides it, and may take long.
  func decide(_ grant: SessionGrant) async throws(Problem) {
    let isSealing = state.withLock { $0.seal?.session == grant.session && $0.seal?.outcome == .running }
    if isSealing { return }
    switch await ask({ .conclude($0, session: grant.session, ordinal: grant.ordinal) }) {
    case .sealed, .retired: return
    case .refused(let refusal): throw Problem(refusal)
    default: throw Problem.failed("the replica answered a conclusion with something else")
    }
  }

  func write(_ frame: Frame, session: String, epoch: Epoch, sequence: Sequence) async -> Reply {
    let extents = frame.extents.map { Extent(disk: $0.disk, range: $0.range) }
    let touches = ReplicaMachine.touches(of: extents, sizes: sizes)
    return await withCheckedContinuation { continuation in
      submit(continuation) { request, state in
        state.frames[request] = frame
        return state.machine.handle(
          .frame(request, session: session, epoch: epoch, sequence: sequence, touches: touches))
      }
    }
  }

  private func submit(
    _ continuation: CheckedContinuation<Reply, Never>, _ handle: (Request, inout State) -> [ReplicaMachine.Action]
  ) {
    let actions: [ReplicaMachine.Action]? = state.withLock { state in
      guard !state.isRetired else { return nil }
      let request = state.newRequest()
      state.waiters[request] = continuation
      return handle(request, &state)
    }
    guard let actions else { return continuation.resume(returning: .refused(.epochClosed)) }
    perform(actions)
  }

  /// Feeds an outcome to the machine and does what it asks for next.
  func feed(_ event: ReplicaMachine.Event) {
    perform(state.withLock { $0.machine.handle(event) })
  }

  // MARK: Reading

  /// Kind and digest of leaves, 33 bytes each.
  func leaves(disk: Int, _ range: Range<Int>) async throws -> [UInt8] {
    try await pool.runIfActive { [map = disks[disk].map] in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(range.count * 33)
      for state in try map.states(range) {
        bytes.append(state.kind.rawValue)
        bytes += state.digest.bytes
      }
      return bytes
    }
  }

  /// Makes the volumes durable, at the end of the gateway's life. What is lost by an error here is sent again.
  func close() {
    state.withLock { $0.reading }?.stop()
    for disk in disks {
      do { try disk.volume.flush() } catch {
        logger.warning("flush at the end failed", metadata: ["volume": "\(disk.grant.volume)", "error": "\(error)"])
      }
    }
  }
}

extension Replica.State {
  mutating func newRequest() -> ReplicaMachine.Request {
    defer { nextRequest += 1 }
    return nextRequest
  }
}
