/// The part of each disk that a sync looks at though it did not change: the agent re-reads the source there, the gateway
/// the volume.
public struct ScrubWindow: Codable, Hashable, Sendable {
  /// Bytes, from the beginning of each disk; what lies past its end is nothing.
  public var from: UInt64
  public var to: UInt64
  public init(from: UInt64, to: UInt64) { (self.from, self.to) = (from, to) }

  /// Every disk, all of it.
  public static let everything = ScrubWindow(from: 0, to: .max)
}

/// What a sync found that should not be.
public struct ScrubFindings: Codable, Hashable, Sendable {
  /// Leaves of the window that were compared with the source.
  public var compared: UInt64
  /// Leaves of volumes that did not hold what was written there; they are sent again before the seal.
  public var differing: UInt64
  /// Leaves of the source that differ from the replica though the tracker saw no write; known once sealed.
  public var missed: UInt64
  public init(compared: UInt64 = 0, differing: UInt64 = 0, missed: UInt64 = 0) {
    (self.compared, self.differing, self.missed) = (compared, differing, missed)
  }
  public var isClean: Bool { differing == 0 && missed == 0 }
}
