/// A leaf: 64 KiB of a disk, the unit of digests. The last leaf of a disk may be shorter.
public enum Leaf {
  /// Bytes in a leaf.
  public static let size: UInt64 = 64 << 10

  /// How many leaves a disk of `bytes` bytes has.
  public static func count(bytes: UInt64) -> UInt64 { (bytes + size - 1) / size }

  /// The byte range of leaf `index` on a disk of `bytes` bytes.
  public static func range(_ index: UInt64, bytes: UInt64) -> Range<UInt64> {
    index * size..<min((index + 1) * size, bytes)
  }

  /// The leaves that a byte range touches.
  public static func touched(by range: Range<UInt64>) -> Range<UInt64> {
    range.isEmpty ? 0..<0 : range.lowerBound / size..<(range.upperBound - 1) / size + 1
  }
}

/// What is known of one leaf's content.
public enum LeafKind: UInt8, Hashable, Sendable, CaseIterable {
  /// Nothing: it was never written, or a write began and has not been settled.
  case unknown = 0
  /// No filesystem uses it; its content does not matter and was not sent.
  case free = 1
  /// All zeros.
  case zero = 2
  /// Bytes, with their digest.
  case data = 3
}

/// SHA-256 of a whole leaf: 32 bytes.
public struct LeafDigest: Hashable, Sendable {
  public static let size = 32
  public var a: UInt64
  public var b: UInt64
  public var c: UInt64
  public var d: UInt64

  public init(a: UInt64, b: UInt64, c: UInt64, d: UInt64) {
    (self.a, self.b, self.c, self.d) = (a, b, c, d)
  }

  /// The digest of nothing known: what `unknown`, `free` and `zero` leaves carry.
  public static let none = LeafDigest(a: 0, b: 0, c: 0, d: 0)
}

/// A leaf of one of a session's disks.
public struct LeafAddress: Hashable, Sendable {
  /// Index of the disk in the session's list of disks.
  public var disk: UInt16
  /// Index of the leaf on that disk.
  public var leaf: UInt64
  public init(disk: UInt16, leaf: UInt64) { (self.disk, self.leaf) = (disk, leaf) }
}

/// One line of a manifest: what a leaf of a disk holds.
public struct LeafRecord: Hashable, Sendable {
  /// Index of the disk in the session's list of disks.
  public var disk: UInt16
  /// Index of the leaf on that disk.
  public var leaf: UInt64
  /// How many consecutive leaves from `leaf` on are of this kind; 1 for `.data`.
  public var run: UInt32
  public var kind: LeafKind
  /// The gateway claimed this very content already, so that it was not sent.
  public var equal: Bool
  /// SHA-256 of the whole leaf for `.data`, else `.none`.
  public var digest: LeafDigest

  public init(
    disk: UInt16, leaf: UInt64, run: UInt32 = 1, kind: LeafKind, equal: Bool = false, digest: LeafDigest = .none
  ) {
    (self.disk, self.leaf, self.run) = (disk, leaf, run)
    (self.kind, self.equal, self.digest) = (kind, equal, digest)
  }

  public var address: LeafAddress { LeafAddress(disk: disk, leaf: leaf) }
}
