internal import FoundationEssentials
internal import Synchronization

/// Tracks writes by what the kernel says at the completion of block requests, on the best rung that works. Needs root.
///
/// With a keeper, tracking by BPF goes on while this process is away: the next one adopts it, with what is pending.
public final class KernelTracker: ChangeTracker {
  public let rung: String
  public let disks: [TrackedDisk]
  public let identity: String
  /// Why this tracking began anew; nil where it goes on with an earlier process's.
  public let newBecause: String?

  private struct State {
    var trackers: [DiskTracker]
    /// Taken, so it is pending, and not named yet, for each disk.
    var backlog: [DirtyDisk]
    var void: VoidReason?
  }

  /// Guards the maps against two takes at once; the kernel's side needs no lock.
  private let state: Mutex<State>
  private let keeper: TrackingKeeper?

  /// Starts tracking, or goes on with it, and proves on each disk, by a few reads of it, that its requests are seen.
  ///
  /// - Parameters:
  ///   - names: kernel names of whole disks: `sda`.
  ///   - rungs: the ways to try, best first.
  ///   - keeper: nil where tracking ends with this process.
  ///   - adopts: whether what the keeper has may be gone on with.
  ///   - dropsOneIn: the negative control: lose one request in so many, as a kernel might.
  /// - Throws: `TrackingUnavailable`.
  public init(
    disks names: [String], rungs: [TrackingRung] = TrackingRung.allCases, keeper: TrackingKeeper? = nil,
    adopts: Bool = true, dropsOneIn: Int32? = nil
  ) throws {
    self.keeper = keeper
    let (adopted, refusal) = adopts ? Self.adopt(names, keeper) : (nil, "tracking was to begin anew")
    let trackers: [DiskTracker]
    if let adopted {
      (trackers, identity, newBecause) = (adopted.trackers, adopted.record.identity, nil)
      keeper?.clean(keeping: adopted.record.folder)
    } else {
      keeper?.clean()
      let folder = keeper?.begin()
      identity = "\(TrackingRecord.currentBoot)/\(UUID())"
      newBecause = refusal
      do {
        trackers = try Self.start(names, rungs, folder, dropsOneIn)
        try Self.note(trackers, identity, folder, keeper)
      } catch {
        keeper?.clean()
        throw error
      }
    }
    disks = trackers.map(\.disk)
    rung = Set(trackers.map(\.marks.rung.rawValue)).sorted().joined(separator: "+")
    state = Mutex(State(trackers: trackers, backlog: Self.nothing(trackers)))
  }

  private static func adopt(
    _ names: [String], _ keeper: TrackingKeeper?
  ) -> (adopted: (trackers: [DiskTracker], record: TrackingRecord)?, refusal: String?) {
    guard let keeper else { return (nil, "tracking begins with the process") }
    do throws(TrackingRefusal) {
      let record = try keeper.found(disks: names)
      var trackers: [DiskTracker] = []
      for disk in record.disks {
        trackers.append(
          try DiskTracker(adopting: disk, pins: PinFolder(existing: "\(record.folder)/\(disk.name)")))
      }
      return ((trackers, record), nil)
    } catch { return (nil, error.reason) }
  }

  private static func start(
    _ names: [String], _ rungs: [TrackingRung], _ folder: String?, _ dropsOneIn: Int32?
  ) throws(TrackingUnavailable) -> [DiskTracker] {
    let kernel = KernelInterfaces()
    var trackers: [DiskTracker] = []
    for name in names {
      var reasons: [String] = []
      var started: DiskTracker?
      for rung in rungs where started == nil {
        let pins = folder.flatMap { try? PinFolder(making: "\($0)/\(name)") }
        do throws(TrackingRefusal) {
          started = try DiskTracker(
            .init(name: name, rung: rung, disks: names.count, pins: pins, dropsOneIn: dropsOneIn), kernel: kernel)
        } catch {
          pins?.remove()
          reasons.append("\(rung.rawValue): \(error.reason)")
        }
      }
      guard let started else { throw TrackingUnavailable(disk: name, reasons: reasons) }
      trackers.append(started)
    }
    return trackers
  }

  /// Notes what is pinned; where that is not everything, nothing stays pinned.
  private static func note(
    _ trackers: [DiskTracker], _ identity: String, _ folder: String?, _ keeper: TrackingKeeper?
  ) throws {
    guard let keeper else { return }
    let records = trackers.compactMap(\.record)
    guard let folder, records.count == trackers.count,
      records.allSatisfy({ PinFolder(existing: "\(folder)/\($0.name)").isComplete })
    else { return keeper.clean() }
    try keeper.save(TrackingRecord(owner: keeper.owner, identity: identity, folder: folder, disks: records))
  }

  private static func nothing(_ trackers: [DiskTracker]) -> [DirtyDisk] {
    trackers.map { DirtyDisk(size: $0.disk.size, blockSize: $0.disk.blockSize) }
  }

  public func take(atMost count: Int) -> Take {
    state.withLock { state in
      if let void = state.void { return .unknown(void) }
      do throws(VoidReason) {
        for (index, tracker) in state.trackers.enumerated() { try tracker.take(into: &state.backlog[index]) }
      } catch {
        Self.void(error, &state)
        return .unknown(error)
      }
      if let reason = Self.verify(.live, &state) { return .unknown(reason) }
      return .dirty(DirtyBlocks(disks: Self.name(count, &state)))
    }
  }

  /// Removes up to `count` ranges from the backlog.
  private static func name(_ count: Int, _ state: inout State) -> [DirtyDisk] {
    let all = state.backlog
    state.backlog = nothing(state.trackers)
    if count == .max { return all }
    var (named, rest) = (state.backlog, count)
    for index in all.indices {
      var disk = all[index]
      for range in disk.removeRanges(count: rest) {
        named[index].insert(bytes: range)
        rest -= 1
      }
      state.backlog[index] = disk
      rest = max(0, rest)
    }
    return named
  }

  public func recall() {
    state.withLock { state in
      for (index, tracker) in state.trackers.enumerated() { state.backlog[index].formUnion(tracker.pending()) }
    }
  }

  public func mark(_ range: Range<UInt64>, ofDisk disk: Int) {
    state.withLock { if $0.trackers.indices.contains(disk) { $0.trackers[disk].mark(range) } }
  }

  public func settle(_ range: Range<UInt64>, ofDisk disk: Int) {
    state.withLock { state in
      guard state.trackers.indices.contains(disk) else { return }
      // What is in the backlog was written after whatever is settled now was read.
      for clear in state.backlog[disk].gaps(in: range) { state.trackers[disk].settle(clear) }
    }
  }

  public func pending() -> [DirtyDisk] { state.withLock { $0.trackers.map { $0.pending() } } }

  public func establish() {
    state.withLock { state in
      if state.void == nil { for tracker in state.trackers { tracker.marks.isEstablished = true } }
    }
  }

  public var isEstablished: Bool {
    state.withLock { state in
      state.void == nil && !state.trackers.isEmpty && state.trackers.allSatisfy(\.marks.isEstablished)
    }
  }

  /// Requests that the negative control has lost.
  public var dropped: UInt64 {
    state.withLock { $0.trackers.reduce(0) { $0 + (($1.marks as? BPFMarks)?.dropped ?? 0) } }
  }

  public func verify(_ moment: CounterMoment) -> VoidReason? {
    state.withLock { Self.verify(moment, &$0) }
  }

  public func counts() -> [TrackedCount] { state.withLock { $0.trackers.compactMap { $0.count() } } }

  private static func verify(_ moment: CounterMoment, _ state: inout State) -> VoidReason? {
    for tracker in state.trackers where state.void == nil {
      // Asked once: on a busy disk the next answer may hide what this one found.
      if let reason = tracker.verify(moment) { void(reason, &state) }
    }
    return state.void
  }

  /// Final, also for a later process.
  private static func void(_ reason: VoidReason, _ state: inout State) {
    state.void = reason
    for tracker in state.trackers { tracker.marks.isEstablished = false }
  }

  public func stop() {
    state.withLock {
      ($0.trackers, $0.backlog) = ([], [])
      $0.void = $0.void ?? .stopped
      keeper?.removeAll()
    }
  }
}
