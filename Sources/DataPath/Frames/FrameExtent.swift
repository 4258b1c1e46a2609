/// One line of a frame's table: a range of a disk, and what it is to hold.
public struct FrameExtent: Hashable, Sendable {
  public enum Kind: UInt8, Hashable, Sendable {
    /// The range becomes zeros; nothing of it is in the payload.
    case zero = 2
    /// The range's bytes are in the payload.
    case data = 3
  }

  /// Index of the disk in the session's list of disks.
  public var disk: UInt16
  public var kind: Kind
  /// Byte offsets on the disk.
  public var range: Range<UInt64>

  public init(disk: UInt16, kind: Kind, range: Range<UInt64>) {
    (self.disk, self.kind, self.range) = (disk, kind, range)
  }
}
