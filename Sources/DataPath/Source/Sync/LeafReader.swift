import Blocks
import Crypto
import Replication
import Volumes
import Wire

/// Reads whole leaves and says what they hold. Blocks the calling thread.
struct LeafReader: Sendable {
  let reader: any BlockReader
  let disk: UInt16

  /// Reads leaves as `load` does and says what they hold.
  ///
  /// - Returns: one record for each leaf.
  /// - Throws: `BlockError`, also where a leaf lies beyond the disk.
  func read(_ leaves: [UInt64], into buffer: AlignedBuffer) throws(BlockError) -> [LeafRecord] {
    try load(leaves, into: buffer)
    return records(of: leaves, in: buffer)
  }

  /// Reads `leaves` (ascending) into `buffer`, each at its place in the list times the size of a leaf; neighbours are
  /// read in one request.
  ///
  /// - Throws: `BlockError`, also where a leaf lies beyond the disk.
  func load(_ leaves: [UInt64], into buffer: AlignedBuffer) throws(BlockError) {
    var start = 0
    while start < leaves.count {
      var end = start + 1
      while end < leaves.count, leaves[end] == leaves[end - 1] + 1 { end += 1 }
      guard leaves[end - 1] < Leaf.count(bytes: reader.size) else {
        throw BlockError(
          .outOfRange, call: "read leaves", device: "disk \(disk)", offset: leaves[end - 1] * Leaf.size,
          reason: "the disk has \(reader.size) bytes")
      }
      let range = leaves[start] * Leaf.size..<min((leaves[end - 1] + 1) * Leaf.size, reader.size)
      let place = start * Int(Leaf.size)
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[place..<place + range.count])
      var span = target.mutableBytes
      try reader.read(into: &span, at: range.lowerBound)
      start = end
    }
  }

  /// What `leaves` hold, after `load` with the same list.
  func records(of leaves: [UInt64], in buffer: AlignedBuffer) -> [LeafRecord] {
    leaves.enumerated().map { index, leaf in record(of: leaf, at: index, in: buffer) }
  }

  /// Where the bytes of `range` lie in a buffer that `read` filled with `leaves`; the range is inside one leaf.
  static func bytes(
    of range: Range<UInt64>, leaves: [UInt64], in buffer: AlignedBuffer
  ) -> UnsafeRawBufferPointer? {
    guard let index = leaves.firstIndexAscending(of: range.lowerBound / Leaf.size) else { return nil }
    let start = index * Int(Leaf.size) + Int(range.lowerBound % Leaf.size)
    return UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[start..<start + range.count])
  }

  private func record(of leaf: UInt64, at index: Int, in buffer: AlignedBuffer) -> LeafRecord {
    let range = Leaf.range(leaf, bytes: reader.size)
    let place = index * Int(Leaf.size)
    let bytes = UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[place..<place + range.count])
    if isZero(bytes.bytes) { return LeafRecord(disk: disk, leaf: leaf, kind: .zero) }
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    let digest = hash.finalize().withUnsafeBytes { LeafDigest(bytes: $0.bytes) }
    return LeafRecord(disk: disk, leaf: leaf, kind: .data, digest: digest ?? .none)
  }
}

extension [UInt64] {
  /// The place of `value` in an ascending list.
  func firstIndexAscending(of value: UInt64) -> Int? {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == value ? low : nil
  }
}
