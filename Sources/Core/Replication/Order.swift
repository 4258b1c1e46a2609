/// One opening of a session at the gateway. Numbers only grow, durably, per replica; a gateway that restarted has none
/// open until the agent opens again. So an acknowledgement belongs to one life of one gateway, and a request from an
/// earlier opening can never touch the volume.
public struct Epoch: Hashable, Comparable, Sendable, RawRepresentable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The number of a frame within an epoch, given *before* its bytes are read from the source. For one leaf a higher
/// sequence was read later, so a lower one must never be written over it.
public struct Sequence: Hashable, Comparable, Sendable, RawRepresentable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var next: Sequence { Sequence(rawValue: rawValue + 1) }
}

/// Consecutive changed bytes of one disk. Offsets are multiples of 4 KiB (except at a disk's end); at most 4 MiB.
public struct Extent: Hashable, Sendable {
  public static let maximumLength: UInt64 = 4 << 20
  public static let granule: UInt64 = 4 << 10

  /// Index of the disk in the session's list of disks.
  public var disk: UInt16
  /// Byte offsets on that disk.
  public var range: Range<UInt64>

  public init(disk: UInt16, range: Range<UInt64>) {
    (self.disk, self.range) = (disk, range)
  }
}
