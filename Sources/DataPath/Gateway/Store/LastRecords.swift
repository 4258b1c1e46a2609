import Replication
import Wire

/// For each leaf the last thing a session's manifest says of it: 33 bytes a leaf of the disks, while a seal lasts.
struct LastRecords: Sendable {
  private static let none: UInt8 = 0xFF

  private var kinds: [[UInt8]]
  private var digests: [[LeafDigest]]

  /// - Parameter counts: leaves of each disk.
  init(counts: [Int]) {
    kinds = counts.map { Array(repeating: Self.none, count: $0) }
    digests = counts.map { Array(repeating: .none, count: $0) }
  }

  /// Takes in the next part. Parts were checked when they were stored; one that is not sound now adds nothing, so that
  /// its leaves do not agree.
  mutating func add(_ part: [UInt8]) {
    guard let records = try? LeafRecord.decode(part: part) else { return }
    for record in records {
      let disk = Int(record.disk)
      guard kinds.indices.contains(disk) else { continue }
      for leaf in record.leaf..<record.leaf + UInt64(record.run) where leaf < kinds[disk].count {
        kinds[disk][Int(leaf)] = record.kind.rawValue
        digests[disk][Int(leaf)] = record.digest
      }
    }
  }

  /// The last record of that leaf, nil where the manifest does not mention it.
  func record(disk: Int, leaf: Int) -> LeafRecord? {
    guard let kind = LeafKind(rawValue: kinds[disk][leaf]) else { return nil }
    return LeafRecord(disk: UInt16(disk), leaf: UInt64(leaf), kind: kind, digest: digests[disk][leaf])
  }
}
