import CLinuxBlock
import Glibc
import Replication
import Synchronization
import Volumes

/// Takes and the consistent instant.
extension LinuxSource {
  public func take(syncFirst: Bool) -> SyncTake {
    if syncFirst { writeBack() }
    return state.withLock { state in
      guard let tracker = state.tracker else {
        return .lost(reason: state.unavailable ?? "the disks cannot be tracked")
      }
      if state.still == nil, state.disturbances >= Self.patience.delta { return .failed(notQuiet(state)) }
      // An instant must know everything at once. A round that gets a whole portion is far from clean, and another one
      // follows.
      switch tracker.take(atMost: syncFirst ? Self.portion : .max) {
      case .unknown(let reason):
        state.ladder.note(reason, of: tracker)
        return .lost(reason: reason.description)
      case .dirty(let dirty):
        let found = state.extra + Self.extents(dirty.disks)
        state.extra = []
        return state.still == nil ? .taken(found) : takenStill(found, &state)
      }
    }
  }

  /// While a final sync holds still, only what could not be frozen is taken again.
  private func takenStill(_ found: [Extent], _ state: inout State) -> SyncTake {
    guard state.isHeld else {
      state.isHeld = true
      return .taken(found)
    }
    let tearing = state.stillness?.tearing(found) ?? found
    if tearing.isEmpty {
      state.extra = found
      return .taken([])
    }
    state.disturbances += 1
    state.culprits = state.stillness?.culprits(tearing) ?? ""
    // Once the final seal was requested there is no giving up, and what was found must not be lost.
    if state.disturbances <= Self.patience.final || hasCommitted(session: session.withLock { $0 }) {
      return .taken(found)
    }
    return .failed(notQuiet(state))
  }

  private func notQuiet(_ state: State) -> SyncFailure {
    SyncFailure(
      code: "not_quiet",
      message:
        "\(state.culprits) cannot be frozen and is written all the time: in \(state.disturbances) tries there was "
        + "no instant without a write; stop what writes it with hooks in \(places.hooks) (pre-NAME before, post-NAME "
        + "after each point)")
  }

  /// Makes the freeze short: what is dirty now need not be written during it.
  private func writeBack() {
    for filesystem in MountedFilesystem.on(disks: names) {
      guard let folder = try? OwnedDescriptor(opening: filesystem.mountPoint, flags: O_RDONLY | O_DIRECTORY) else {
        continue
      }
      _ = lb_syncfs(folder.rawValue)
    }
  }

  public func freeze(hold: Bool) throws -> ContinuousClock.Instant {
    let filesystems = MountedFilesystem.on(disks: names)
    if hold { try places.checkNote(outside: filesystems) }
    let hadHooks = try hooks.runPre(switching: hold)
    do { return try freeze(filesystems, hold: hold, hadHooks: hadHooks) } catch {
      hooks.runPost()
      throw error
    }
  }

  private func freeze(
    _ filesystems: [MountedFilesystem], hold: Bool, hadHooks: Bool
  ) throws -> ContinuousClock.Instant {
    // A guard that is let go of thaws: never after the next freeze.
    state.withLock { $0.still.take() }?.thaw()
    let use = DeviceUse(disks: names)
    let still = try FreezeGuard(filesystems, limit: Self.watchdogLimit(hold: hold))
    let frozen = try still.freeze()
    let began = ContinuousClock.now - frozen.reduce(.zero) { $0 + $1.duration }
    let stillness = Stillness(
      use, frozen: Set(frozen.map(\.filesystem.device)), level: hadHooks ? .application : .filesystem)
    let reason = state.withLock { state in
      (state.still, state.stillness, state.isHeld) = (still, stillness, false)
      // Every write before the freeze must have been seen. Where something may still be written there is no quiet moment
      // to ask in yet: it is asked at the end.
      let reason = state.tracker?.verify(stillness.loose.isEmpty ? .quiescent : .live)
      if let reason, let tracker = state.tracker { state.ladder.note(reason, of: tracker) }
      return reason
    }
    if let reason {
      still.thaw()
      state.withLock { $0.still = nil }
      throw SyncFailure(code: "freeze_failed", message: reason.description)
    }
    return began
  }

  public func thaw() -> Bool {
    let held = state.withLock { state in
      guard let still = state.still else { return false }
      let wasQuiet = checkQuiet(&state) == nil
      state.still = nil
      let wasHeld = still.thaw()
      return wasQuiet && (wasHeld || state.stillness?.hasFrozen == false)
    }
    // Whichever session it names: what is thawed is not held for any.
    if FinalSealNote.read(at: places) != nil { forgetCommit() }
    hooks.runPost()
    return held
  }

  /// The guard may have been an earlier life's. The note goes last: while it is there, a later life thaws again.
  private func forgetCommit() {
    _ = FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: names))
    unlink(places.committed)
  }

  /// At the end of an instant: why it is none, because something was written that could not be frozen or because the
  /// tracker missed a write.
  func checkQuiet(_ state: inout State) -> SyncFailure? {
    guard state.still != nil, let stillness = state.stillness else { return nil }
    guard let tracker = state.tracker, case .dirty(let dirty) = tracker.take() else {
      return SyncFailure(code: "tracking_lost", message: "the disks cannot be tracked any more; start the sync anew")
    }
    let found = Self.extents(dirty.disks)
    state.extra += found
    let tearing = stillness.tearing(found)
    guard tearing.isEmpty else {
      state.disturbances += 1
      state.culprits = stillness.culprits(tearing)
      return notQuiet(state)
    }
    if !stillness.loose.isEmpty, let reason = tracker.verify(.quiescent) {
      state.ladder.note(reason, of: tracker)
      return SyncFailure(code: "tracking_lost", message: reason.description)
    }
    state.disturbances = 0
    return nil
  }
}

extension [Extent] {
  /// These bytes less those of `others`.
  func without(_ others: [Extent]) -> [Extent] {
    guard !others.isEmpty else { return self }
    return flatMap { extent in
      var rest = [extent.range]
      for other in others where other.disk == extent.disk && other.range.overlaps(extent.range) {
        rest = rest.flatMap { piece in
          [
            piece.lowerBound..<Swift.max(piece.lowerBound, Swift.min(piece.upperBound, other.range.lowerBound)),
            Swift.min(piece.upperBound, Swift.max(piece.lowerBound, other.range.upperBound))..<piece.upperBound
          ].filter { !$0.isEmpty }
        }
      }
      return rest.map { Extent(disk: extent.disk, range: $0) }
    }
  }
}
