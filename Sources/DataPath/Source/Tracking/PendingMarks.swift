internal import Replication

/// A bit for each unit of a disk that was taken and is not settled. Units are blocks, or leaves where blocks are larger:
/// what is sent and settled is a leaf at the most.
///
/// Guarded by the lock of the tracker that owns it.
struct PendingMarks: Sendable {
  /// Bytes.
  let size: UInt64
  let unit: UInt64
  private let words: MappedWords

  /// Bytes of memory that the marks of a disk take.
  static func byteCount(size: UInt64, block: UInt64) -> Int {
    Int((size / min(block, Leaf.size) + 1 + 63) / 64 * 8)
  }

  /// - Parameter words: at least `byteCount(size:block:)` bytes.
  init(size: UInt64, block: UInt64, words: MappedWords) {
    (self.size, unit, self.words) = (size, min(block, Leaf.size), words)
  }

  private var units: UInt64 { (size + unit - 1) / unit }

  /// Sets the marks of all units that `range` touches.
  func insert(_ range: Range<UInt64>) {
    let range = range.clamped(to: 0..<size)
    if !range.isEmpty { change(range.lowerBound / unit..<(range.upperBound - 1) / unit + 1, to: true) }
  }

  /// Clears the marks of all units that lie wholly inside `range`.
  func remove(_ range: Range<UInt64>) {
    let first = (range.lowerBound + unit - 1) / unit
    let end = range.upperBound >= size ? units : range.upperBound / unit
    if first < end { change(first..<end, to: false) }
  }

  /// What is marked.
  func marked() -> DirtyDisk {
    var found = DirtyDisk(size: size, blockSize: unit)
    var index = words.nextNonzero(from: 0)
    while index < words.count {
      var rest = words[index]
      while rest != 0 {
        let block = UInt64(index * 64 + rest.trailingZeroBitCount)
        if block < units { found.insert(block: block) }
        rest &= rest - 1
      }
      index = words.nextNonzero(from: index + 1)
    }
    return found
  }

  private func change(_ range: Range<UInt64>, to value: Bool) {
    var unit = range.lowerBound
    while unit < range.upperBound {
      let end = min(range.upperBound, (unit / 64 + 1) * 64)
      let mask = (end - unit == 64 ? UInt64.max : (1 << (end - unit)) - 1) << (unit % 64)
      words[Int(unit / 64)] = value ? words[Int(unit / 64)] | mask : words[Int(unit / 64)] & ~mask
      unit = end
    }
  }
}
