/// The agent's end of a sync: one session over all its disks.
///
/// A pure value: `handle` takes what happened and says what to do. The driver performs the actions, several at a time,
/// and feeds their outcomes back, one at a time. What each action and event means is said in `SyncMachine.Event` and
/// `SyncMachine.Action`.
///
/// What it upholds:
/// - A leaf is in at most one unsettled frame, so that a record always belongs to the bytes the gateway got last.
/// - Pending marks are cleared only for blocks that are durable and not dirty again, never while a take is under way.
/// - An instant is only begun when everything before it is settled; after it only captured memory is sent.
/// - Once its seal was requested a final sync ends in one of two ways: it is sealed and powers off, or the gateway says
///   that it never will be, and it thaws. Nothing else ends it, and nothing else thaws.
public struct SyncMachine: Sendable {
  /// A disk of the source.
  public struct Disk: Hashable, Sendable {
    /// Bytes.
    public var size: UInt64
    /// The unit in which changes are sent, in bytes: a power of two, at most a leaf.
    public var block: UInt64
    /// - Parameter block: the tracker's block; where that is larger than a leaf, a leaf.
    public init(size: UInt64, block: UInt64 = Extent.granule) { (self.size, self.block) = (size, block) }
  }

  /// Bounds and units. The defaults fit an agent of 64 MiB.
  public struct Settings: Hashable, Sendable {
    /// Bytes in a leaf.
    public var leaf: UInt64 = Leaf.size
    /// Leaves a frame may touch: with 64 KiB leaves a frame needs 4 MiB to read.
    public var frameLeaves = 64
    /// Frames that are carried at the same time.
    public var framesInFlight = 4
    /// Frames' leaves that may be acknowledged or found equal before a flush settles them.
    public var flushLeaves = 4096
    /// Bytes an instant may keep in memory.
    public var instantBytes: UInt64 = 32 << 20
    /// Leaves an instant may read and hash while frozen.
    public var instantLeaves = 4096
    /// Rounds that bring the instant no nearer: what is dirty does not shrink by a quarter and is still too much, or an
    /// instant was void because of it. Then a final sync freezes anyway, and any other ends.
    public var stalledRounds = 5
    /// How many times a freeze may fail before the sync is given up.
    public var freezeFailures = 3
    /// How many times tracking may be lost before the sync is given up.
    public var trackingLosses = 3
    /// Seals in which the target read back something else than was written, before a sync is given up; a final one is
    /// not, and goes on.
    public var mismatchRounds = 5
    /// Takes after the final seal was requested, one after the other, that find something written. Then it is asked for
    /// anyway: what cannot be frozen may be torn, but the machine does not stand still without end.
    public var heldTakes = 20
    public init() {}
  }

  /// Where a sync stands.
  public enum Phase: String, Hashable, Sendable { case tracking, copying, catchingUp, freezing, sealing, ended }

  /// Numbers for people; bytes are those of the source.
  public struct Progress: Hashable, Sendable {
    public var phase: Phase
    /// What the sync is after a delta that could not be proven.
    public var mode: Mode
    /// Why a delta became a compare.
    public var voided: String?
    /// Bytes of leaves that must be looked at in all; those settled or found equal; those still to be sent.
    public var usedBytes: UInt64
    public var doneBytes: UInt64
    public var dirtyBytes: UInt64
    /// Takes, and instants begun.
    public var rounds: Int
    public var instants: Int
    /// Of the rounds and instants those that brought it no nearer.
    public var stalls: Int
    /// Leaves that a scrub compared, and those whose writes the tracker missed (known from the seal on).
    public var scrubbed: Int
    public var missed: Int
    /// Seals in which the target read back something else than was written, and how many leaves that were in the last.
    public var mismatches: Int
    public var differing: Int
    /// A final seal is asked for although what cannot be frozen is written all the time.
    public var isDisturbed: Bool
  }

  /// - Parameters:
  ///   - final: freeze and hold, seal, power off.
  ///   - resumesFinal: an earlier agent died after it had requested the final seal; the filesystems are still frozen
  ///     and stay so.
  ///   - scrub: bytes of each disk to be compared though they did not change.
  public init(
    mode: Mode, final: Bool, resumesFinal: Bool = false, scrub: Range<UInt64>? = nil, disks: [Disk],
    settings: Settings = Settings()
  ) {
    self.scrub = scrub.map { Scrub(window: $0) }
    (self.mode, self.final, self.resumesFinal) = (mode, final, resumesFinal)
    (self.disks, self.settings) = (disks, settings)
    sealRequested = resumesFinal
    maps = disks.map { DiskMap(size: $0.size, block: $0.block, leaf: settings.leaf) }
  }

  let final: Bool
  let settings: Settings
  let disks: [Disk]
  /// The filesystems were found frozen and are never thawed.
  let resumesFinal: Bool
  var mode: Mode
  var voided: String?

  var stage = Stage.starting
  var link = Link.closed
  var tracking = Tracking.idle
  var maps: [DiskMap]

  var lastSequence = Sequence(rawValue: 0)
  /// Frames whose settlement is not yet asked for, ascending.
  var unsettled: [Carried] = []
  var flushing: Flushing?
  /// The next opening begins the manifest anew.
  var opensFresh = true
  /// Number of the next part of the manifest.
  var nextPart: UInt64 = 0
  /// Records of free leaves for the next parts; nothing is sent before they are stored.
  var loose: [LeafRecord] = []
  /// Settled while a take was under way.
  var deferredSettles: [Extent] = []

  /// Records and extents of the instant in memory, and those of its extents that are to be sent.
  var captured: [LeafAddress: LeafRecord] = [:]
  var capturing: [Extent] = []
  var memory: [Extent] = []

  /// The last take of a final sync, while it held still, was empty, and nothing was sent since.
  var isHeldClean = false
  /// Takes since the last seal was asked for, and that one was asked for without a clean take.
  var heldTakes = 0
  var isDisturbed = false
  /// The disks cannot be tracked: a source that stays frozen is sealed without.
  var isUntracked = false
  /// Seals that found something else than was written, and leaves in the last of them.
  var mismatches = 0
  var differing = 0
  /// The last take was small enough for an instant.
  var isNearlyClean = false
  /// The seal of a final sync was requested: never thaw, unless the gateway has retired the session.
  var sealRequested: Bool
  /// Give the instant up at the next occasion; end the sync when thawed.
  var isInstantOver = false
  var endReason: String?
  var scrub: Scrub?
  /// Tracking began anew in this sync.
  var hasWalked = false
  var losses = 0
  var freezeFailures = 0
  var rounds = 0
  var instants = 0
  /// Rounds that brought the instant no nearer, and the least that was dirty after any; counted anew with a walk.
  var stalls = 0
  var leastDirty = UInt64.max
  /// Said by the call of `handle` that is under way.
  var actions: [Action] = []

  /// Takes what happened, says what to do next.
  public mutating func handle(_ event: Event) -> [Action] {
    if stage != .ended {
      receive(event)
      advance()
    }
    defer { actions = [] }
    return actions
  }

  /// Where the sync stands.
  public var progress: Progress {
    let dirty = dirtyBytes
    let used = maps.reduce(0) { $0 + UInt64($1.used.population) * settings.leaf }
    let flight = unsettled.reduce(0) { $0 + $1.frame.byteCount }
    return Progress(
      phase: phase, mode: mode, voided: voided, usedBytes: used, doneBytes: used - min(used, dirty + flight),
      dirtyBytes: dirty, rounds: rounds, instants: instants, stalls: stalls, scrubbed: scrubbed.compared,
      missed: scrubbed.missed, mismatches: mismatches, differing: differing, isDisturbed: isDisturbed)
  }

  private var phase: Phase {
    switch stage {
    case .starting: .tracking
    case .copying: rounds == 0 ? .copying : .catchingUp
    case .freezing, .holding, .capturing, .thawing: .freezing
    case .sending, .streaming: .catchingUp
    case .sealing: .sealing
    case .ended: .ended
    }
  }
}
