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
  /// Blocks on the disk.
  public let blocks: UInt64
  /// How many are changed.
  public private(set) var count: UInt64 = 0
  private var words: [UInt64]

  public init(size: UInt64, blockSize: UInt64) {
    (self.size, self.blockSize) = (size, blockSize)
    blocks = (size + blockSize - 1) / blockSize
    words = Array(repeating: 0, count: Int((blocks + 63) / 64))
  }

  public var isEmpty: Bool { count == 0 }

  /// Bytes of all changed blocks; the last block of a disk may be shorter.
  public var bytes: UInt64 {
    guard count > 0 else { return 0 }
    return count * blockSize - (contains(block: blocks - 1) ? blocks * blockSize - size : 0)
  }

  public func contains(block: UInt64) -> Bool { words[Int(block / 64)] & (1 << (block % 64)) != 0 }

  public mutating func insert(block: UInt64) {
    let bit: UInt64 = 1 << (block % 64)
    if words[Int(block / 64)] & bit == 0 {
      words[Int(block / 64)] |= bit
      count += 1
    }
  }

  public mutating func insert(blocks range: Range<UInt64>) {
    for block in range { insert(block: block) }
  }

  /// The changed byte ranges, ascending: neighbours joined, none longer than `limit` bytes.
  public func ranges(limit: UInt64 = 4 << 20) -> [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    var block: UInt64 = 0
    while let first = next(from: block, set: true) {
      let end = next(from: first, set: false) ?? blocks
      var start = first * blockSize
      while start < min(end * blockSize, size) {
        let stop = min(start + limit, end * blockSize, size)
        found.append(start..<stop)
        start = stop
      }
      block = end
    }
    return found
  }

  /// The first block at or after `start` that is changed (or not).
  private func next(from start: UInt64, set: Bool) -> UInt64? {
    var block = start
    while block < blocks {
      let word = set ? words[Int(block / 64)] : ~words[Int(block / 64)]
      let rest = word >> (block % 64)
      if rest != 0 {
        let found = block + UInt64(rest.trailingZeroBitCount)
        return found < blocks ? found : nil
      }
      block = (block / 64 + 1) * 64
    }
    return nil
  }
}
