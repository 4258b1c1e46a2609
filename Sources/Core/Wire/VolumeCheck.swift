public import Blocks
import Crypto
import Replication

/// Re-reads a volume and compares every leaf that is not free with what it should hold.
public enum VolumeCheck {
  public struct Outcome: Hashable, Sendable {
    /// Leaves compared; those left out because nothing uses them.
    public var compared: UInt64
    public var free: UInt64
    /// Leaves that hold something else: how many, and the first of them.
    public var differing: UInt64
    public var first: [UInt64]
    public var isEqual: Bool { differing == 0 }
    public init(compared: UInt64, free: UInt64, differing: UInt64, first: [UInt64]) {
      (self.compared, self.free, self.differing, self.first) = (compared, free, differing, first)
    }
  }

  /// Differing leaves that are named.
  public static let named = 64
  /// Leaves read at a time: 1 MiB.
  private static let chunk = 16

  /// - Parameters:
  ///   - size: bytes of the disk; the volume may be larger.
  ///   - progress: called with the leaves done so far; false ends the reading.
  /// - Returns: nil where it was ended.
  public static func compare(
    _ volume: any BlockReader, size: UInt64, disk: Int, with picture: LeafPicture,
    progress: (UInt64) -> Bool = { _ in true }
  ) throws(BlockError) -> Outcome? {
    var outcome = Outcome(compared: 0, free: 0, differing: 0, first: [])
    let buffer = AlignedBuffer(count: chunk * Int(Leaf.size))
    let count = picture.count(disk: disk)
    for start in stride(from: 0, to: count, by: chunk) {
      let leaves = start..<min(start + chunk, count)
      let wanted = leaves.map { leaf in
        picture.record(disk: disk, leaf: leaf).flatMap { $0.kind == .data || $0.kind == .zero ? $0 : nil }
      }
      outcome.free += UInt64(wanted.count { $0 == nil })
      for (place, record) in wanted.enumerated() {
        guard let record else { continue }
        let range = Leaf.range(record.leaf, bytes: size)
        let target = UnsafeMutableRawBufferPointer(
          rebasing: buffer.unsafeMutableBytes[place * Int(Leaf.size)..<place * Int(Leaf.size) + range.count])
        var span = target.mutableBytes
        try volume.read(into: &span, at: range.lowerBound)
        outcome.compared += 1
        guard !holds(UnsafeRawBufferPointer(target), record) else { continue }
        outcome.differing += 1
        if outcome.first.count < named { outcome.first.append(record.leaf) }
      }
      if !progress(UInt64(leaves.upperBound)) { return nil }
    }
    return outcome
  }

  private static func holds(_ bytes: UnsafeRawBufferPointer, _ record: LeafRecord) -> Bool {
    if record.kind == .zero { return bytes.allSatisfy { $0 == 0 } }
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return LeafDigest(bytes: Array(hash.finalize())) == record.digest
  }
}
