import Replication
import Wire

extension LeafMap {
  /// The version of a map that was kept at a seal; nil where there is none of a disk of this size.
  ///
  /// - Parameters:
  ///   - disk: its place in the picture, which has `counts` leaves for each disk.
  static func picture(
    folder: DurableFolder, version: String, size: UInt64, disk: Int, counts: [Int]
  ) throws(StoreError) -> LeafPicture? {
    let points = try folder.folder("points")
    let count = Int(Leaf.count(bytes: size))
    let (start, length) = layout(count: count)
    guard points.exists(version) else { return nil }
    let file = try DurableFile(points.file(version), flags: 0)
    guard try file.length() == length, try file.read(0..<UInt64(header(size: size).count)) == header(size: size) else {
      return nil
    }
    var picture = LeafPicture(counts: counts)
    let kinds = try file.read(headerSize..<headerSize + UInt64(count))
    for first in stride(from: 0, to: count, by: LeafRoot.chunk) {
      let leaves = first..<min(first + LeafRoot.chunk, count)
      var digests: [UInt8] = []
      if kinds[leaves].contains(where: { kind($0) == .data }) {
        digests = try file.read(
          start + UInt64(first * LeafDigest.size)..<start + UInt64(leaves.upperBound * LeafDigest.size))
      }
      var leaf = first
      while leaf < leaves.upperBound {
        let kind = kind(kinds[leaf])
        var record = LeafRecord(disk: UInt16(disk), leaf: UInt64(leaf), kind: kind)
        if kind == .data {
          let at = (leaf - first) * LeafDigest.size
          record.digest = LeafDigest(bytes: digests.span.bytes.extracting(at..<at + LeafDigest.size)) ?? .none
          leaf += 1
        } else {
          let end = kinds[leaf..<leaves.upperBound].firstIndex { Self.kind($0) != kind } ?? leaves.upperBound
          record.run = UInt32(end - leaf)
          leaf = end
        }
        picture.add(record)
      }
    }
    return picture
  }
}
