public import Blocks
public import Replication
public import Wire

/// The disks of a source as a sync sees them: readable, tracked, and able to stand still for an instant.
///
/// All calls but `mark`, `settle` and `release` may block and are made from a thread pool; no two calls of the same
/// source overlap, except reads. Nothing here knows of gateways or sessions: what a mark means is the caller's.
public protocol SyncSource: Sendable {
  /// In the order of the session's disks.
  var disks: [SyncDisk] { get }

  /// Starts tracking where it does not run (or starts it over), then says what is in use. `voided` unless tracking was
  /// established (see `mark`) and is still proven; after a restart only where the disks cannot be tracked at all.
  /// Throws where the disks cannot be described.
  func prepare(restart: Bool) throws -> SyncMachine.Prepared

  /// Sets pending marks. `establishes`: from now on the live and the pending map together name everything that is not
  /// settled, so that a later sync may build on them. Quick; called on any thread.
  func mark(_ extents: [Extent], establishes: Bool)
  /// Clears pending marks. Quick; called on any thread.
  func settle(_ extents: [Extent])

  /// Moves what changed to the pending marks and names it. While a final sync holds still, only what tears the instant
  /// and what came with it.
  func take(syncFirst: Bool) -> SyncTake

  /// Freezes what can be frozen, with a watchdog that thaws at the deadline even if this process dies, and returns when
  /// the tracker has seen every write before that. Throws with everything thawed.
  /// - Parameter hold: the freeze of a final sync, which lasts until `commit` or the deadline.
  /// - Returns: when the first filesystem was frozen.
  func freeze(hold: Bool) throws -> ContinuousClock.Instant

  /// Thaws, also what an earlier life froze, forgets the note of `commit`, and runs the post hooks. False where the
  /// watchdog had thawed before, or something that cannot be frozen was written since the instant's take: either way
  /// there was no instant.
  func thaw() -> Bool

  /// Before the seal of a final sync is requested: takes the watchdog away and notes, where it survives, that the
  /// machine must not thaw by itself any more. False where the watchdog has thawed already. Throws, with everything
  /// thawed, where something that cannot be frozen was written since the last take.
  func commit() throws -> Bool

  /// What the last instant was for each device that nothing else is made of: `application`, `filesystem` or `crash`,
  /// the last with its reason: `crash: swap`.
  var consistency: [String: String] { get }

  /// How writes are seen on each disk, and what was counted; empty where nothing tracks them.
  var tracking: [AgentStatement.Tracking] { get }

  /// Ends the machine at once, writing nothing. Returns only where it failed, or where the machine is a test's.
  func powerOff()
}

extension SyncSource {
  public var tracking: [AgentStatement.Tracking] { [] }
}

public struct SyncDisk: Sendable {
  /// Kernel name: `sda`.
  public var name: String
  public var reader: any BlockReader
  /// The tracker's unit, in bytes.
  public var block: UInt64
  public init(name: String, reader: any BlockReader, block: UInt64) {
    (self.name, self.reader, self.block) = (name, reader, block)
  }
}

public enum SyncTake: Sendable {
  case taken([Extent])
  /// Not every write can be proven seen: only a comparison of the disks is right now.
  case lost(reason: String)
  /// The sync cannot go on.
  case failed(SyncFailure)
}
