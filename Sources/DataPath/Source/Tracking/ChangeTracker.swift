/// Knows which blocks of a set of whole disks were written since they were last asked for.
///
/// **Promise.** From the moment the initialiser returns, every write that completed before a `take` began is in that
/// `take` or an earlier one, or the `take` answers `.unknown`. A tracker that cannot prove it saw every write says so;
/// it never guesses. A write that was in flight during a `take` comes with the next one, so: take first, read after.
///
/// **Two phases.** `take` moves blocks from the live map to a second, *pending* one: marked there before they are
/// cleared here. `settle` removes pending marks. Blocks that are pending when a `take` is lost with its process are
/// still on record.
///
/// **Void is final.** After the first `.unknown` every later call answers the same. Stop the tracker, start another,
/// and compare the disks with the replica.
///
/// Calls block for microseconds to a few milliseconds, allocate only the answer of `take`, and may come from any thread.
/// None writes to a disk, so all may be called while filesystems are frozen.
public protocol ChangeTracker: Sendable {
  /// How changes are seen here: `tp_btf`, `tracepoint`, `blktrace`; joined by `+` where disks differ.
  var rung: String { get }

  /// The disks, in the order in which `DirtyBlocks.disks` and the index parameters name them.
  var disks: [TrackedDisk] { get }

  /// Names this run of tracking. A sync may build on an earlier one only if both ran under the same identity.
  var identity: String { get }

  /// The blocks written since the last `take`. Also checks the live counters, as `verify(.live)` does.
  /// - Parameter count: of ranges. What is beyond it is taken as well, but kept back: the next `take` names it first, and
  ///   no `settle` touches it before.
  func take(atMost count: Int) -> Take

  /// Makes the next `take` name everything that is pending: after an interruption nobody knows what of it was sent.
  func recall()

  /// Sets the pending marks of every block that `range` (byte offsets of disk `disk`) touches: they must be sent before
  /// anyone may rely on the replica.
  func mark(_ range: Range<UInt64>, ofDisk disk: Int)

  /// Says that the content of `range` is durable on the target: forgets the pending marks of blocks that lie wholly
  /// inside it. Blocks that a later `take` named again are the caller's to leave out. May be repeated.
  func settle(_ range: Range<UInt64>, ofDisk disk: Int)

  /// What was taken or marked, and is not settled yet: in blocks, or in leaves where blocks are larger.
  func pending() -> [DirtyDisk]

  /// Notes that the live and the pending marks together name everything that is not settled, for as long as both live:
  /// where they outlive this process, so does the note. Becoming void withdraws it.
  func establish()

  /// Whether that was noted, here or by the process whose tracking this goes on with.
  var isEstablished: Bool { get }

  /// Compares what the tracker counted with what the kernel says was written. Nil is good.
  func verify(_ moment: CounterMoment) -> VoidReason?

  /// For each disk the sectors that the kernel counted as written since tracking began, and those that were seen; empty
  /// once stopped.
  func counts() -> [TrackedCount]

  /// Ends tracking, also for later processes, and gives the kernel's memory back. May be repeated; a `take` after it
  /// answers `.unknown`. Merely letting go of a tracker leaves what outlives processes as it is.
  func stop()
}

extension ChangeTracker {
  /// All blocks written since the last `take`, and what was kept back.
  public func take() -> Take { take(atMost: .max) }
}

/// What was counted on one disk.
public struct TrackedCount: Hashable, Sendable {
  public var disk: String
  public var rung: String
  public var kernelSectors: UInt64
  public var seenSectors: UInt64
}

/// A whole disk under tracking.
public struct TrackedDisk: Hashable, Sendable {
  /// Kernel name: `sda`, `loop3`.
  public var name: String
  /// Bytes.
  public var size: UInt64
  /// The unit of `take` on this disk, in bytes: a power of two, at least 4 KiB.
  public var blockSize: UInt64

  public init(name: String, size: UInt64, blockSize: UInt64) {
    (self.name, self.size, self.blockSize) = (name, size, blockSize)
  }
}

/// The answer to `ChangeTracker.take()`.
public enum Take: Sendable {
  case dirty(DirtyBlocks)
  /// Changes may have been missed: only a comparison of the whole disks is right now.
  case unknown(VoidReason)
}

/// When counters are compared.
public enum CounterMoment: Sendable {
  /// Writes are under way: catches what was lost for certain.
  case live
  /// The filesystems are frozen: counters must be equal. Waits a little for writes in flight; discards are tolerated.
  case quiescent
}

/// Why tracking cannot be trusted.
public enum VoidReason: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kernel completed more sectors than the tracker saw (`seen` of `written`), or the counts are not comparable.
  case countersDiffer(disk: String, seen: UInt64, written: UInt64)
  /// Writes went past the block layer's addressing (SG_IO, NVMe passthrough).
  case untrackableWrites(disk: String, count: UInt64)
  /// Bytes.
  case sizeChanged(disk: String, from: UInt64, to: UInt64)
  /// The disk is gone or its counters cannot be read.
  case lost(disk: String, reason: String)
  /// The kernel says it skipped the tracker's program.
  case eventsMissed(disk: String, count: UInt64)
  case stopped

  public var description: String {
    switch self {
    case .countersDiffer(let disk, let seen, let written):
      "\(disk): the tracker saw \(seen) of \(written) sectors written"
    case .untrackableWrites(let disk, let count):
      "\(disk): \(count) passthrough or out-of-range requests, which name no sectors"
    case .sizeChanged(let disk, let from, let to): "\(disk): its size changed from \(from) to \(to) bytes"
    case .lost(let disk, let reason): "\(disk): \(reason)"
    case .eventsMissed(let disk, let count): "\(disk): the kernel skipped the tracker \(count) times"
    case .stopped: "tracking was stopped"
    }
  }
}

/// Why tracking could not start, and what to do.
public struct TrackingUnavailable: Error, Sendable, CustomStringConvertible {
  public var disk: String
  /// One line for each way that was tried, best first.
  public var reasons: [String]

  public init(disk: String, reasons: [String]) { (self.disk, self.reasons) = (disk, reasons) }

  public var description: String {
    "writes to \(disk) cannot be tracked, so every sync must compare the whole disk: " + reasons.joined(separator: "; ")
  }
}
