public import Replication

/// One line of a manifest part on the wire: a leaf record, for one or more leaves in a row.
public struct ManifestRecord: Hashable, Sendable {
  /// What the leaves from `record.leaf` on hold.
  public var record: LeafRecord
  /// How many consecutive leaves; 1 for data.
  public var run: UInt32
  /// The gateway held it already; it was not sent.
  public var foundEqual: Bool

  public init(_ record: LeafRecord, run: UInt32 = 1, foundEqual: Bool = false) {
    (self.record, self.run, self.foundEqual) = (record, run, foundEqual)
  }
}
