import Blocks
import Replication

/// The bytes of an instant, read while the filesystems stood still. What is not in here is sent from nowhere else.
final class CapturedInstant: Sendable {
  let records: [LeafRecord]
  private let memory: AlignedBuffer
  /// For each disk its extents, ascending, and where their bytes begin in `memory`.
  private let places: [UInt16: [(range: Range<UInt64>, start: Int)]]

  private init(
    records: [LeafRecord], memory: AlignedBuffer, places: [UInt16: [(range: Range<UInt64>, start: Int)]]
  ) {
    (self.records, self.memory, self.places) = (records, memory, places)
  }

  /// Reads and hashes the whole of every leaf that `extents` touch, and keeps the extents' own bytes. Blocks.
  ///
  /// - Parameters:
  ///   - extents: ascending for each disk, not overlapping.
  ///   - scratch: room for at least one leaf.
  /// - Throws: `BlockError`, `CancellationError`.
  static func read(
    _ extents: [Extent], from disks: [SyncDisk], scratch: AlignedBuffer
  ) throws -> CapturedInstant {
    let memory = AlignedBuffer(count: extents.reduce(0) { $0 + $1.range.count })
    var places: [UInt16: [(range: Range<UInt64>, start: Int)]] = [:]
    var start = 0
    for extent in extents {
      places[extent.disk, default: []].append((extent.range, start))
      start += extent.range.count
    }
    var records: [LeafRecord] = []
    for disk in places.keys.sorted() {
      let reader = LeafReader(reader: disks[Int(disk)].reader, disk: disk)
      let kept = places[disk, default: []]
      let leaves = touched(by: kept.map(\.range))
      let step = scratch.count / Int(Leaf.size)
      for first in stride(from: 0, to: leaves.count, by: step) {
        let batch = Array(leaves[first..<min(first + step, leaves.count)])
        records += try reader.read(batch, into: scratch)
        copy(batch, from: scratch, to: memory, kept: kept)
      }
    }
    return CapturedInstant(records: records, memory: memory, places: places)
  }

  /// The bytes of `extent`, which lies within one that was captured; nil where it does not.
  func bytes(of extent: Extent) -> UnsafeRawBufferPointer? {
    guard let list = places[extent.disk] else { return nil }
    var (low, high) = (0, list.count)
    while low < high {
      let middle = (low + high) / 2
      if list[middle].range.upperBound <= extent.range.lowerBound { low = middle + 1 } else { high = middle }
    }
    guard low < list.count, list[low].range.lowerBound <= extent.range.lowerBound,
      extent.range.upperBound <= list[low].range.upperBound
    else { return nil }
    let start = list[low].start + Int(extent.range.lowerBound - list[low].range.lowerBound)
    return UnsafeRawBufferPointer(rebasing: memory.unsafeBytes[start..<start + extent.range.count])
  }

  private static func touched(by ranges: [Range<UInt64>]) -> [UInt64] {
    var leaves: [UInt64] = []
    for range in ranges {
      for leaf in Leaf.touched(by: range) where leaves.last != leaf { leaves.append(leaf) }
    }
    return leaves
  }

  /// Copies what of the kept ranges lies in `leaves`.
  private static func copy(
    _ leaves: [UInt64], from scratch: AlignedBuffer, to memory: AlignedBuffer,
    kept: [(range: Range<UInt64>, start: Int)]
  ) {
    guard let first = leaves.first, let last = leaves.last else { return }
    let window = first * Leaf.size..<(last + 1) * Leaf.size
    for (range, start) in kept where range.overlaps(window) {
      for leaf in Leaf.touched(by: range.clamped(to: window)) {
        let part = range.clamped(to: leaf * Leaf.size..<(leaf + 1) * Leaf.size)
        guard let bytes = LeafReader.bytes(of: part, leaves: leaves, in: scratch) else { continue }
        let place = start + Int(part.lowerBound - range.lowerBound)
        UnsafeMutableRawBufferPointer(rebasing: memory.unsafeMutableBytes[place..<place + part.count])
          .copyMemory(from: bytes)
      }
    }
  }
}
