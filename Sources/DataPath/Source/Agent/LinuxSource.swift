import Blocks
import CLinuxBlock
import Glibc
public import Replication
import Synchronization
import Volumes

/// The disks of this machine, tracked by the kernel and held still by freezing their filesystems.
///
/// Lives as long as the agent serves one migration: what is pending for its replica is in the tracker's maps, so a
/// restarted agent compares.
public final class LinuxSource: SyncSource {
  public let disks: [SyncDisk]
  private let names: [String]
  private let places: AgentPlaces
  private let hooks: Hooks
  private let session: Mutex<String> = Mutex("")
  private let state: Mutex<State>

  private struct State {
    var tracker: (any ChangeTracker)?
    /// Why there is no tracker.
    var unavailable: String?
    /// Whether the maps name everything that is not settled.
    var isEstablished = false
    var still: FreezeGuard?
    var consistency: [String: String] = [:]
    /// Taken to see whether anything was written during an instant, and not handed out yet.
    var extra: [Extent] = []
  }

  /// The watchdog comes after the driver's own deadline.
  private static func watchdogLimit(hold: Bool) -> Duration {
    let settings = SyncDriver.Settings()
    return (hold ? settings.finalDeadline : settings.instantDeadline) + .seconds(5)
  }

  /// Opens the disks and starts to track them.
  /// - Parameter names: kernel names of whole disks: `sda`.
  /// - Throws: `BlockError` where a disk cannot be opened.
  public init(disks names: [String], places: AgentPlaces) throws {
    (self.names, self.places, hooks) = (names, places, Hooks(folder: places.hooks))
    var first = State()
    Self.track(names, &first)
    let blocks = first.tracker?.disks.map(\.blockSize) ?? names.map { _ in Extent.granule }
    disks = try zip(names, blocks).map { name, block in
      SyncDisk(name: name, reader: try BlockDevice(path: "/dev/\(name)", readOnly: true), block: block)
    }
    state = Mutex(first)
  }

  /// Ends tracking.
  public func stop() { state.withLock { $0.tracker?.stop() } }

  /// Says which session the next seal is for.
  func begin(session new: String) {
    session.withLock { $0 = new }
    // An earlier life froze the filesystems.
    guard let note = FinalSealNote.read(at: places), note.session == new else { return }
    state.withLock { if $0.consistency.isEmpty { $0.consistency = note.consistency } }
  }

  private static func track(_ names: [String], _ state: inout State) {
    state.tracker?.stop()
    (state.isEstablished, state.extra) = (false, [])
    do {
      (state.tracker, state.unavailable) = (try BPFTracker(disks: names), nil)
    } catch { (state.tracker, state.unavailable) = (nil, "\(error)") }
  }

  public func prepare(restart: Bool) throws -> SyncMachine.Prepared {
    try checkSizes()
    let (voided, pending) = state.withLock { state -> (String?, [Extent]) in
      if restart || state.tracker == nil { Self.track(names, &state) }
      guard let tracker = state.tracker else { return (state.unavailable ?? "the disks cannot be tracked", []) }
      if restart { return (nil, []) }
      guard state.isEstablished else { return ("tracking has only just begun", []) }
      if let reason = tracker.verify(.live) { return (reason.description, []) }
      return (nil, Self.extents(tracker.pending()))
    }
    return .init(voided: voided, pending: pending, used: used())
  }

  private func checkSizes() throws {
    for disk in disks {
      guard let now = DiskCounters.size(disk.name), now != disk.reader.size else { continue }
      throw SyncFailure(
        code: "disk_resized",
        message: "the disk \(disk.name) had \(disk.reader.size) bytes when its migration began and has \(now) now; "
          + "start a new migration of this machine")
    }
  }

  private func used() -> [[Range<UInt64>]] {
    disks.map { UsedExtents.of(disk: $0.name, size: $0.reader.size) }
  }

  private static func extents(_ dirty: [DirtyDisk]) -> [Extent] {
    dirty.enumerated().flatMap { index, disk in
      disk.ranges().map { Extent(disk: UInt16(index), range: $0) }
    }
  }

  public func mark(_ extents: [Extent], establishes: Bool) {
    state.withLock { state in
      for extent in extents { state.tracker?.mark(extent.range, ofDisk: Int(extent.disk)) }
      if establishes, state.tracker != nil { state.isEstablished = true }
    }
  }

  public func settle(_ extents: [Extent]) {
    state.withLock { state in
      for extent in extents { state.tracker?.settle(extent.range, ofDisk: Int(extent.disk)) }
    }
  }

  public func take(syncFirst: Bool) -> SyncTake {
    if syncFirst { writeBack() }
    return state.withLock { state in
      guard let tracker = state.tracker else {
        return .lost(reason: state.unavailable ?? "the disks cannot be tracked")
      }
      switch tracker.take() {
      case .unknown(let reason):
        state.isEstablished = false
        return .lost(reason: reason.description)
      case .dirty(let dirty):
        defer { state.extra = [] }
        return .taken(state.extra + Self.extents(dirty.disks))
      }
    }
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
    if hold { try runHooks(.preSwitch) }
    let hadHooks = try runHooks(.pre)
    do { return try freeze(hold: hold, hadHooks: hadHooks) } catch {
      _ = hooks.run(.post)
      throw error
    }
  }

  /// Whether there were any.
  @discardableResult
  private func runHooks(_ moment: Hooks.Moment) throws -> Bool {
    let outcomes = hooks.run(moment)
    guard let failed = outcomes.first(where: { !$0.succeeded }) else { return !outcomes.isEmpty }
    _ = hooks.run(.post)
    throw SyncFailure(
      code: "hook_failed", message: "the hook \(failed.name) failed: \(failed.output); repair it or remove it")
  }

  private func freeze(hold: Bool, hadHooks: Bool) throws -> ContinuousClock.Instant {
    // A guard that is let go of thaws: never after the next freeze.
    state.withLock { $0.still.take() }?.thaw()
    let still = try FreezeGuard(MountedFilesystem.on(disks: names), limit: Self.watchdogLimit(hold: hold))
    let frozen = try still.freeze()
    let began = ContinuousClock.now - frozen.reduce(.zero) { $0 + $1.duration }
    let level = hadHooks ? ConsistencyLevel.application : .filesystem
    let reason = state.withLock { state in
      state.still = still
      state.consistency = [:]
      for filesystem in MountedFilesystem.on(disks: names) {
        state.consistency[filesystem.device] = ConsistencyLevel.crash.rawValue
      }
      for one in frozen { state.consistency[one.filesystem.device] = level.rawValue }
      // Every write before the freeze must have been seen; without a filesystem there is no quiet moment to ask in.
      return frozen.isEmpty ? state.tracker?.verify(.live) : state.tracker?.verify(.quiescent)
    }
    if let reason {
      still.thaw()
      state.withLock { $0.isEstablished = false }
      throw SyncFailure(code: "freeze_failed", message: reason.description)
    }
    return began
  }

  public func thaw() -> Bool {
    let held = state.withLock { state in
      guard let still = state.still.take() else { return false }
      return still.filesystems.isEmpty ? wasQuiet(&state) : still.thaw()
    }
    if hasCommitted(session: session.withLock { $0 }) { forgetCommit() }
    _ = hooks.run(.post)
    return held
  }

  /// The guard may have been an earlier life's. The note goes last: while it is there, a later life thaws again.
  private func forgetCommit() {
    _ = FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: names))
    unlink(places.committed)
  }

  /// Where nothing could be frozen, an instant is one in which nothing was written.
  private func wasQuiet(_ state: inout State) -> Bool {
    guard case .dirty(let dirty) = state.tracker?.take() else { return false }
    state.extra += Self.extents(dirty.disks)
    return dirty.isEmpty
  }

  public func commit() -> Bool {
    let session = session.withLock { $0 }
    // Asked again: after a mismatch, in a newer epoch, or by a later life.
    if hasCommitted(session: session) { return true }
    let (isCommitted, broken) = state.withLock { state -> (Bool, FreezeGuard?) in
      // Only what is surely held may be noted: a later life that finds the note takes the filesystems for frozen.
      if let still = state.still, still.filesystems.isEmpty || still.hold(),
        (try? FinalSealNote(session: session, consistency: state.consistency).write(to: places)) != nil
      {
        return (true, nil)
      }
      return (false, state.still.take())
    }
    if let broken {
      broken.thaw()
      _ = hooks.run(.post)
    }
    return isCommitted
  }

  func hasCommitted(session: String) -> Bool {
    FinalSealNote.read(at: places)?.session == session
  }

  public var consistency: [String: String] { state.withLock { $0.consistency } }

  public func powerOff() { _ = lb_power_off() }
}
