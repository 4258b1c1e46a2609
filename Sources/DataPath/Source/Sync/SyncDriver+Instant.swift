import Blocks
import Replication
import Synchronization

extension SyncDriver {
  func freeze(hold: Bool) async throws -> SyncMachine.Event? {
    // From here on a log line could wait for a filesystem that waits for us.
    hush(true)
    let start: ContinuousClock.Instant
    do {
      start = try await onPool { try self.source.freeze(hold: hold) }
    } catch {
      hush(false)
      state.withLock { $0.freezeFailure = error as? SyncFailure }
      return .freezeFailed(reason: "\(error)")
    }
    let number = state.withLock { state in
      state.frozenAt = start
      state.freezes += 1
      state.freezeFailure = nil
      return state.freezes
    }
    feed(.frozen)
    // What is left of this task is the deadline.
    try await Task.sleep(for: (hold ? settings.finalDeadline : settings.instantDeadline) - (.now - start))
    let isSameFreeze = state.withLock { $0.freezes == number && $0.frozenAt != nil }
    return isSameFreeze ? .deadline : nil
  }

  func capture(_ extents: [Extent]) async throws -> SyncMachine.Event {
    let sorted = extents.sorted { ($0.disk, $0.range.lowerBound) < ($1.disk, $1.range.lowerBound) }
    do {
      let instant = try await buffers.withBuffer { scratch in
        try await onPool { try CapturedInstant.read(sorted, from: self.source.disks, scratch: scratch) }
      }
      state.withLock { $0.capture = instant }
      return .captured(instant.records)
    } catch let error as BlockError {
      // The machine thaws first; the failure is remembered as the reason.
      state.withLock { if $0.failure == nil { $0.failure = SyncFailure(error) } }
      return .cancel(reason: "\(error)")
    }
  }

  func thaw() async throws -> SyncMachine.Event {
    let inTime = try await onPool { self.source.thaw() }
    state.withLock { state in
      if let start = state.frozenAt { state.freezeMilliseconds = (.now - start) / .milliseconds(1) }
      (state.frozenAt, state.isCommitted) = (nil, false)
    }
    hush(false)
    return .thawed(inTime: inTime)
  }

  func powerOff() async {
    let (receipt, progress) = (state.withLock { $0.receipt }, progress)
    await beforePowerOff(Result(receipt: receipt, failure: nil, progress: progress))
    try? await onPool { self.source.powerOff() }
  }
}
