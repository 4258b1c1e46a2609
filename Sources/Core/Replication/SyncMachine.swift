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
/// - A final sync never thaws once its seal was requested.
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
    /// How many times tracking may be lost before the sync is given up.
    public var trackingLosses = 3
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
  }

  /// - Parameters:
  ///   - final: freeze and hold, seal, power off.
  ///   - resumesFinal: an earlier agent died after it had requested the final seal; the filesystems are still frozen
  ///     and stay so.
  public init(mode: Mode, final: Bool, resumesFinal: Bool = false, disks: [Disk], settings: Settings = Settings()) {
    self.mode = mode
    self.final = final
    self.settings = settings
    self.disks = disks
  }

  let final: Bool
  let settings: Settings
  let disks: [Disk]
  var mode: Mode

  /// Takes what happened, says what to do next.
  public mutating func handle(_ event: Event) -> [Action] {
    []
  }

  /// Where the sync stands.
  public var progress: Progress {
    Progress(
      phase: .tracking, mode: mode, voided: nil, usedBytes: 0, doneBytes: 0, dirtyBytes: 0, rounds: 0, instants: 0)
  }
}
