import Blocks
import CLinuxBlock
public import Replication
import Synchronization
import Volumes
public import Wire

/// The disks of this machine, tracked by the kernel and held still by freezing their filesystems.
///
/// Lives as long as the agent serves one migration: what is pending for its replica is in the tracker's maps. Where those
/// outlive the agent, the next one goes on with them.
public final class LinuxSource: SyncSource {
  public let disks: [SyncDisk]
  let names: [String]
  let places: AgentPlaces
  let hooks: OwedHooks
  private let keeper: TrackingKeeper
  let session: Mutex<String> = Mutex("")
  let state: Mutex<State>

  struct State {
    var tracker: (any ChangeTracker)?
    /// Why there is no tracker, or why it began anew.
    var unavailable: String?
    var ladder = TrackingLadder()
    var still: FreezeGuard?
    /// Of the instant that lasts, or of the last one.
    var stillness: Stillness?
    /// The instant is that of a final sync, and its first take is done.
    var isHeld = false
    /// Takes and instants, one after the other, in which something was written that could not be frozen.
    var disturbances = 0
    /// What was written in the last of them.
    var culprits = ""
    /// Taken to see whether anything was written during an instant, and not handed out yet.
    var extra: [Extent] = []
    /// What an earlier life noted of the instant that it holds.
    var noted: [String: String]?

    var levels: [String: String] { stillness?.levels ?? noted ?? [:] }
  }

  /// How often something may be written during an instant before the sync is given up. Less often than rounds may stall,
  /// as which these count: the reason given shall be this one.
  static let patience = (delta: 3, final: 20)

  /// Extents handed out at a time while there is no hurry: 3 MiB. More would not fit the agent's memory.
  static let portion = 128 << 10

  /// The watchdog comes after the driver's own deadline.
  static func watchdogLimit(hold: Bool) -> Duration {
    let settings = SyncDriver.Settings()
    return (hold ? settings.finalDeadline : settings.instantDeadline) + .seconds(5)
  }

  /// Opens the disks and starts to track them.
  /// - Parameters:
  ///   - names: kernel names of whole disks: `sda`.
  ///   - migration: whose replica is written: tracking for another one is worth nothing to it.
  /// - Throws: `BlockError` where a disk cannot be opened.
  public init(disks names: [String], places: AgentPlaces, migration: String) throws {
    (self.names, self.places, hooks) = (names, places, OwedHooks(places: places))
    keeper = places.trackingKeeper(owner: migration)
    var first = State()
    Self.track(names, keeper, adopts: true, &first)
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
    let note = FinalSealNote.read(at: places).flatMap { $0.session == new ? $0 : nil }
    state.withLock { ($0.disturbances, $0.noted) = (0, note?.consistency) }
  }

  private static func track(_ names: [String], _ keeper: TrackingKeeper, adopts: Bool, _ state: inout State) {
    state.tracker?.stop()
    state.extra = []
    do {
      let tracker = try KernelTracker(disks: names, rungs: state.ladder.rungs, keeper: keeper, adopts: adopts)
      (state.tracker, state.unavailable) = (tracker, tracker.newBecause)
    } catch { (state.tracker, state.unavailable) = (nil, "\(error)") }
  }

  public func prepare(restart: Bool) throws -> SyncMachine.Prepared {
    try checkSizes()
    try checkCompleteness()
    let (voided, pending) = state.withLock { state -> (String?, [Extent]) in
      if restart || state.tracker == nil { Self.track(names, keeper, adopts: !restart, &state) }
      guard let tracker = state.tracker else { return (state.unavailable ?? "the disks cannot be tracked", []) }
      if restart { return (nil, []) }
      if let reason = tracker.verify(.live) {
        state.ladder.note(reason, of: tracker)
        return (reason.description, [])
      }
      guard tracker.isEstablished else {
        return ("tracking has only just begun" + (state.unavailable.map { ": \($0)" } ?? ""), [])
      }
      // The first take names what is pending.
      tracker.recall()
      return (nil, [])
    }
    return .init(voided: voided, pending: pending, used: used())
  }

  private func checkSizes() throws {
    for disk in disks {
      // A disk that was pulled out has no size any more, or is not there at all.
      let now = DiskCounters.size(disk.name) ?? 0
      guard now > 0 else {
        throw SyncFailure(
          BlockError(.vanished, call: "size", device: "/dev/\(disk.name)", reason: "the disk is gone"))
      }
      guard now != disk.reader.size else { continue }
      throw SyncFailure(
        code: "disk_resized",
        message: "the disk \(disk.name) had \(disk.reader.size) bytes when its migration began and has \(now) now; "
          + "start a new migration of this machine")
    }
  }

  /// Half of a filesystem is none.
  private func checkCompleteness() throws {
    guard let first = DeviceUse(disks: names).incomplete.first else { return }
    let missing = first.missing.joined(separator: ", ")
    throw SyncFailure(
      code: "disk_missing",
      message: "the filesystem at \(first.filesystem.mountPoint) also lies on \(missing), which is not part of this "
        + "migration; start a new migration with that disk, or unmount the filesystem")
  }

  private func used() -> [[Range<UInt64>]] {
    disks.map { UsedExtents.of(disk: $0.name, size: $0.reader.size) }
  }

  static func extents(_ dirty: [DirtyDisk]) -> [Extent] {
    dirty.enumerated().flatMap { index, disk in
      disk.ranges().map { Extent(disk: UInt16(index), range: $0) }
    }
  }

  public func mark(_ extents: [Extent], establishes: Bool) {
    state.withLock { state in
      for extent in extents { state.tracker?.mark(extent.range, ofDisk: Int(extent.disk)) }
      if establishes { state.tracker?.establish() }
    }
  }

  public func settle(_ extents: [Extent]) {
    state.withLock { state in
      // What was written after an instant's take is not settled with it.
      for extent in extents.without(state.extra) {
        state.tracker?.settle(extent.range, ofDisk: Int(extent.disk))
      }
    }
  }

  public func commit() throws -> Bool {
    let session = session.withLock { $0 }
    // Asked again: after a mismatch, in a newer epoch, or by a later life.
    if hasCommitted(session: session) { return true }
    let failure = state.withLock { checkQuiet(&$0) }
    let (isCommitted, broken) = state.withLock { state -> (Bool, FreezeGuard?) in
      // Only what is surely held may be noted: a later life that finds the note takes the filesystems for frozen.
      if failure == nil, let still = state.still, still.filesystems.isEmpty || still.hold(),
        (try? Self.note(session, state, still).write(to: places)) != nil
      {
        return (true, nil)
      }
      return (false, state.still.take())
    }
    if let broken {
      broken.thaw()
      hooks.runPost()
    }
    if let failure { throw failure }
    return isCommitted
  }

  private static func note(_ session: String, _ state: State, _ still: FreezeGuard) -> FinalSealNote {
    FinalSealNote(session: session, consistency: state.levels, frozen: still.frozenMountPoints)
  }

  func hasCommitted(session: String) -> Bool { FinalSealNote.holds(session, at: places) }

  public var consistency: [String: String] { state.withLock { $0.levels } }

  public var tracking: [AgentStatement.Tracking] {
    state.withLock { state in
      guard let tracker = state.tracker else { return [] }
      return tracker.counts().map {
        .init(disk: $0.disk, rung: $0.rung, kernelSectors: $0.kernelSectors, seenSectors: $0.seenSectors)
      }
    }
  }

  public func powerOff() { _ = lb_power_off() }
}
