internal import Replication

/// What one take found.
public struct DirtyBlocks: Sendable {
  /// One for each tracked disk, in the tracker's order.
  public var disks: [DirtyDisk]

  public init(disks: [DirtyDisk]) { self.disks = disks }

  public var isEmpty: Bool { disks.allSatisfy(\.isEmpty) }

  /// Bytes that would have to be read.
  public var bytes: UInt64 { disks.reduce(0) { $0 + $1.bytes } }
}

/// The changed blocks of one disk, a bit each.
public struct DirtyDisk: Sendable {
  /// Bytes of the disk and of a block.
  public let size: UInt64
  public let blockSize: UInt64
  private var bits: Bitmap

  public init(size: UInt64, blockSize: UInt64) {
    (self.size, self.blockSize) = (size, blockSize)
    bits = Bitmap(count: Int((size + blockSize - 1) / blockSize))
  }

  /// Blocks on the disk.
  public var blocks: UInt64 { UInt64(bits.count) }
  /// How many are changed.
  public var count: UInt64 { UInt64(bits.population) }
  public var isEmpty: Bool { bits.isEmpty }

  /// Bytes of all changed blocks; the last block of a disk may be shorter.
  public var bytes: UInt64 {
    guard count > 0 else { return 0 }
    return count * blockSize - (contains(block: blocks - 1) ? blocks * blockSize - size : 0)
  }

  public func contains(block: UInt64) -> Bool { bits[Int(block)] }

  public mutating func insert(block: UInt64) { bits[Int(block)] = true }

  public mutating func insert(blocks range: Range<UInt64>) {
    bits.insert(Int(range.lowerBound)..<Int(range.upperBound))
  }

  /// Adds all blocks that `bytes` touches.
  public mutating func insert(bytes: Range<UInt64>) {
    let bytes = bytes.clamped(to: 0..<size)
    if !bytes.isEmpty { insert(blocks: bytes.lowerBound / blockSize..<(bytes.upperBound - 1) / blockSize + 1) }
  }

  /// Adds what is changed in `other`, which may be in another unit.
  public mutating func formUnion(_ other: DirtyDisk) {
    if other.blockSize == blockSize { return bits.formUnion(other.bits) }
    var next: UInt64 = 0
    while let run = other.run(from: next) {
      insert(bytes: run.lowerBound * other.blockSize..<run.upperBound * other.blockSize)
      next = run.upperBound
    }
  }

  /// The parts of `bytes` that lie in no changed block.
  public func gaps(in bytes: Range<UInt64>) -> [Range<UInt64>] {
    if isEmpty { return [bytes] }
    var gaps: [Range<UInt64>] = []
    var next = bytes.lowerBound
    while next < bytes.upperBound {
      let run = run(from: next / blockSize).map { $0.lowerBound * blockSize..<$0.upperBound * blockSize }
      let end = min(run?.lowerBound ?? bytes.upperBound, bytes.upperBound)
      if next < end { gaps.append(next..<end) }
      next = run?.upperBound ?? bytes.upperBound
    }
    return gaps
  }

  /// The changed byte ranges, ascending: neighbours joined, none longer than `limit` bytes.
  public func ranges(limit: UInt64 = 4 << 20) -> [Range<UInt64>] {
    var copy = self
    return copy.removeRanges(count: .max, limit: limit)
  }

  /// Removes the first `count` of those ranges (a few more, where the last of them is long) and says which they were.
  public mutating func removeRanges(count: Int, limit: UInt64 = 4 << 20) -> [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    var next: UInt64 = 0
    while found.count < count, let run = run(from: next) {
      var start = run.lowerBound * blockSize
      let end = min(run.upperBound * blockSize, size)
      while start < end {
        let stop = min(start + limit, end)
        found.append(start..<stop)
        start = stop
      }
      bits.remove(Int(run.lowerBound)..<Int(run.upperBound))
      next = run.upperBound
    }
    return found
  }

  private func run(from start: UInt64) -> Range<UInt64>? {
    bits.run(from: Int(start)).map { UInt64($0.lowerBound)..<UInt64($0.upperBound) }
  }
}
