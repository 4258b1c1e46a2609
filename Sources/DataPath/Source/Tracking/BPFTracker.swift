internal import FoundationEssentials
internal import Synchronization

/// Tracks writes with an eBPF program at the completion of block requests, one for each disk. Needs root, and Linux
/// with BPF maps that can be mapped into memory (5.5).
public final class BPFTracker: ChangeTracker {
  public let rung: String
  public let disks: [TrackedDisk]
  public let identity: String

  private struct State {
    var trackers: [DiskTracker]
    var void: VoidReason?
  }

  /// Guards the maps against two takes at once; the kernel's side needs no lock.
  private let state: Mutex<State>

  /// Starts tracking and proves on each disk, by a few reads of it, that its requests are seen.
  ///
  /// - Parameter names: kernel names of whole disks: `sda`.
  /// - Parameter rungs: the ways to try, best first.
  /// - Throws: `TrackingUnavailable`.
  public init(disks names: [String], rungs: [TrackingRung] = TrackingRung.allCases) throws {
    let kernel = KernelInterfaces()
    let trackers = try names.map { try Self.start($0, rungs, kernel) }
    disks = trackers.map(\.disk)
    rung = Set(trackers.map(\.rung.rawValue)).sorted().joined(separator: "+")
    identity = "\(SystemFile.text("/proc/sys/kernel/random/boot_id") ?? "")/\(UUID())"
    state = Mutex(State(trackers: trackers))
  }

  private static func start(
    _ name: String, _ rungs: [TrackingRung], _ kernel: KernelInterfaces
  ) throws(TrackingUnavailable) -> DiskTracker {
    var reasons: [String] = []
    for rung in rungs {
      do throws(TrackingRefusal) {
        return try DiskTracker(name: name, rung: rung, kernel: kernel)
      } catch {
        reasons.append("\(rung.rawValue): \(error.reason)")
      }
    }
    throw TrackingUnavailable(disk: name, reasons: reasons)
  }

  public func take() -> Take {
    state.withLock { state in
      if let void = state.void { return .unknown(void) }
      let dirty = state.trackers.map { $0.take() }
      if let reason = Self.verify(.live, &state) { return .unknown(reason) }
      return .dirty(DirtyBlocks(disks: dirty))
    }
  }

  public func mark(_ range: Range<UInt64>, ofDisk disk: Int) {
    state.withLock { if $0.trackers.indices.contains(disk) { $0.trackers[disk].mark(range) } }
  }

  public func settle(_ range: Range<UInt64>, ofDisk disk: Int) {
    state.withLock { if $0.trackers.indices.contains(disk) { $0.trackers[disk].settle(range) } }
  }

  public func pending() -> [DirtyDisk] { state.withLock { $0.trackers.map { $0.pending() } } }

  public func verify(_ moment: CounterMoment) -> VoidReason? {
    state.withLock { Self.verify(moment, &$0) }
  }

  private static func verify(_ moment: CounterMoment, _ state: inout State) -> VoidReason? {
    if state.void == nil {
      for tracker in state.trackers {
        state.void = tracker.verify(moment)
        if state.void != nil { break }
      }
    }
    return state.void
  }

  public func stop() {
    state.withLock {
      $0.trackers = []
      $0.void = $0.void ?? .stopped
    }
  }
}
