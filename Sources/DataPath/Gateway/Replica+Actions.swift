import Blocks
import Frames
import Logging
import NIOPosix
import Replication
import Synchronization
import Wire

/// What the machine asks for, done on the thread pool.
extension Replica {
  func perform(_ actions: [ReplicaMachine.Action]) {
    for action in actions { perform(action) }
  }

  private func perform(_ action: ReplicaMachine.Action) {
    switch action {
    case .reply(let request, let reply): answer(request, reply)
    case .write(let request): onPool { $0.write(request) }
    case .markUnknown(let request, let leaves): mark(request, leaves)
    case .flushVolumes(let request):
      onPool { replica in
        replica.stored(request, .volumesFlushed(request)) { for disk in $0 { try disk.volume.flush() } }
      }
    case .storeOpening(let request, let stored, let drop):
      onPool { replica in
        let migration = replica.state.withLock { $0.migration }
        replica.stored(request, .openingStored(request)) { _ in
          try replica.store.withLock { try $0.storeOpening(stored, migration: migration, dropManifest: drop) }
        }
      }
    case .storePart(let request, _, let records, let claims):
      onPool { $0.storePart(request, records, claims: claims) }
    case .readBack(let request): onPool { $0.startReadBack(request) }
    case .storeSeal(let request): onPool { $0.storeSeal(request) }
    }
  }

  /// Runs `work` on a thread that may block, in turn where this replica's share of threads is in use.
  func onPool(_ work: @escaping @Sendable (Replica) -> Void) {
    let begins = state.withLock { state in
      state.working += 1
      guard state.threadsInUse < threads else {
        state.queue.append(work)
        return false
      }
      state.threadsInUse += 1
      return true
    }
    if begins { submit(work) }
  }

  /// One piece of work at a time goes to the pool for each thread, so that other replicas' work comes in between.
  private func submit(_ work: @escaping @Sendable (Replica) -> Void) {
    pool.submit { pool in
      if case .active = pool { work(self) }
      let next = self.state.withLock { state -> (@Sendable (Replica) -> Void)? in
        state.working -= 1
        if !state.queue.isEmpty { return state.queue.removeFirst() }
        state.threadsInUse -= 1
        return nil
      }
      if let next { self.submit(next) }
    }
  }

  /// Does something to stable storage and tells the machine how it went.
  func stored(_ request: Request, _ success: ReplicaMachine.Event, _ work: ([ReplicaDisk]) throws -> Void) {
    do {
      try work(disks)
      feed(success)
    } catch { storageFailed(request, error) }
  }

  /// What is in memory may differ now from what is on disk: the replica must be loaded anew.
  private func storageFailed(_ request: Request, _ error: any Error) {
    logger.error("storage failed", metadata: ["error": "\(error)"])
    state.withLock { state in
      state.isBroken = true
      if Problem.isFull(error) { state.full.insert(request) }
    }
    feed(.failed(request, reason: "\(error)"))
  }

  private func answer(_ request: Request, _ reply: Reply) {
    let (waiter, isFull) = state.withLock { state in
      state.frames[request] = nil
      return (state.waiters.removeValue(forKey: request), state.full.remove(request) != nil)
    }
    var reply = reply
    if isFull, case .refused(.failed) = reply { reply = .refused(.full) }
    waiter?.resume(returning: reply)
    if waiter == nil { sealReplied(request, reply) }
  }

  // MARK: Frames

  private func write(_ request: Request) {
    guard let frame = state.withLock({ $0.frames[request] }) else {
      return feed(.writeFailed(request, .failed("the frame is gone")))
    }
    do throws(BlockError) {
      try frame.forEachExtent { extent, bytes throws(BlockError) in
        let volume = disks[Int(extent.disk)].volume
        switch extent.kind {
        case .zero: try volume.zero(extent.range)
        case .data: try volume.write(bytes, at: extent.range.lowerBound)
        }
      }
      feed(.written(request))
    } catch {
      logger.error("write failed", metadata: ["error": "\(error)"])
      // A volume that is gone stays gone for this handle.
      if error.code == .vanished { state.withLock { $0.isBroken = true } }
      feed(.writeFailed(request, error.code == .full ? .full : .failed("\(error)")))
    }
  }

  /// Queues leaves for the next sync of the maps. While one runs the others gather, so that small frames share it.
  private func mark(_ request: Request, _ leaves: [LeafAddress]) {
    let start = state.withLock { state in
      state.marks.append((request, leaves))
      defer { state.isMarking = true }
      return !state.isMarking
    }
    if start { onPool { $0.markAll() } }
  }

  private func markAll() {
    while true {
      let marks = state.withLock { state in
        defer { state.marks = [] }
        if state.marks.isEmpty { state.isMarking = false }
        return state.marks
      }
      if marks.isEmpty { return }
      do {
        var leaves = disks.map { _ in [Int]() }
        for address in marks.lazy.flatMap(\.leaves) { leaves[Int(address.disk)].append(Int(address.leaf)) }
        for (disk, leaves) in zip(disks, leaves) where !leaves.isEmpty { try disk.map.markUnknown(leaves) }
        for mark in marks { feed(.unknownMarked(mark.request)) }
      } catch {
        for mark in marks { storageFailed(mark.request, error) }
      }
    }
  }

  // MARK: Parts

  private func storePart(_ request: Request, _ records: [LeafRecord], claims: [LeafRecord]) {
    stored(request, .partStored(request)) { disks in
      let part = LeafRecord.encode(records)
      try store.withLock { try $0.storePart(part) }
      for (index, disk) in disks.enumerated() {
        let own = claims.filter { Int($0.disk) == index }
        if !own.isEmpty { try disk.map.claim(own) }
      }
    }
  }
}
