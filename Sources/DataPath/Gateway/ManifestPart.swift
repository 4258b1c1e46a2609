import Replication
import Wire

/// The body of a flush.
enum ManifestPart {
  /// The records of a part, all of which lie on the disks.
  ///
  /// - Throws: `Problem` where they do not, or where the bytes are not the one way to write these records.
  static func decode(_ part: [UInt8], sizes: [UInt64]) throws(Problem) -> [LeafRecord] {
    let records: [LeafRecord]
    do throws(LeafRecord.CodingFailure) { records = try LeafRecord.decode(part: part) } catch {
      throw .badRequest("malformed_part", "\(error)")
    }
    for (index, record) in records.enumerated() {
      guard Int(record.disk) < sizes.count else {
        throw .badRequest("out_of_range", "record \(index) names disk \(record.disk)")
      }
      let count = Leaf.count(bytes: sizes[Int(record.disk)])
      guard record.leaf < count, UInt64(record.run) <= count - record.leaf else {
        throw .badRequest("out_of_range", "record \(index) leaves the disk")
      }
      guard record.kind != .unknown else { throw .badRequest("malformed_part", "record \(index) says nothing") }
    }
    // The chain is over the bytes; storing them from the records keeps both the same only if this holds.
    guard LeafRecord.encode(records) == part else {
      throw .badRequest("malformed_part", "a record without data carries a digest")
    }
    return records
  }
}
