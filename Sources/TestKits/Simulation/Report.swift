/// What one simulated migration met.
public struct Report: Sendable {
  /// Scheduling steps it took.
  public var steps = 0
  /// Sessions begun, points sealed.
  public var sessions = 0
  public var seals = 0
  /// How often each kind of fault and each rare path was hit.
  public var hits: [Fault: Int] = [:]

  public init() {}

  mutating func hit(_ fault: Fault) { hits[fault, default: 0] += 1 }

  /// Adds another run's figures.
  public mutating func add(_ other: Report) {
    steps += other.steps
    sessions += other.sessions
    seals += other.seals
    hits.merge(other.hits, uniquingKeysWith: +)
  }
}

/// Faults the world injects and paths that only faults lead to. Every one must be hit over a run of seeds.
public enum Fault: String, CaseIterable, Sendable {
  case messageDropped, messageDuplicated, messageDelayed, requestTimedOut
  case staleRefused, oldEpochRefused, sessionSuperseded, openedLate, olderSessionRefused
  case agentCrashed, agentCrashedWithoutMaps, agentCrashedAfterSealRequest
  case gatewayCrashed, gatewayLostPower, unflushedWriteDropped
  case storageFailed, writeFailed, bytesCorrupted, mismatchFound
  case trackingLost, writeCompletedAfterTake
  case freezeFailed, captureFailed, watchdogThawed, deadlinePassed, instantOverBound, cancelled
  case sessionConcluded, concludedSealed, agentToldWhileFrozen, agentCutOff, thawedAfterRetirement, nonsenseNamed
  case neverQuiet, frozenUnquiet, writtenWhileHeld, targetUnreliable
  case foundEqual, freeRecorded, partFoundStored, memoryResent
}

/// A rule that did not hold.
public struct Violation: Error, CustomStringConvertible {
  public var seed: UInt64
  public var step: Int
  public var rule: String
  public var description: String { "seed \(seed), step \(step): \(rule) (replay with GODWIT_SEED=\(seed))" }
}
