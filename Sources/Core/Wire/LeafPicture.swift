import Crypto
public import Replication

/// What manifests say of every leaf of some disks: for each leaf its last record. 33 bytes a leaf in memory.
public struct LeafPicture: Sendable {
  private static let none: UInt8 = 0xFF

  private var kinds: [[UInt8]]
  private var digests: [[LeafDigest]]

  /// Nothing is said yet.
  /// - Parameter counts: leaves of each disk.
  public init(counts: [Int]) {
    kinds = counts.map { Array(repeating: Self.none, count: $0) }
    digests = counts.map { Array(repeating: .none, count: $0) }
  }

  /// Takes in the next part of a manifest. One that is not sound adds nothing, so that its leaves do not agree.
  public mutating func add(_ part: [UInt8]) {
    guard let records = try? LeafRecord.decode(part: part) else { return }
    for record in records { add(record) }
  }

  public mutating func add(_ record: LeafRecord) {
    let disk = Int(record.disk)
    guard kinds.indices.contains(disk), record.leaf < UInt64(kinds[disk].count) else { return }
    let end = min(record.leaf + UInt64(record.run), UInt64(kinds[disk].count))
    for leaf in Int(record.leaf)..<Int(end) {
      kinds[disk][leaf] = record.kind.rawValue
      digests[disk][leaf] = record.digest
    }
  }

  /// Leaves of a disk.
  public func count(disk: Int) -> Int { kinds[disk].count }

  /// The last record of that leaf, nil where nothing was said of it.
  public func record(disk: Int, leaf: Int) -> LeafRecord? {
    guard let kind = LeafKind(rawValue: kinds[disk][leaf]) else { return nil }
    return LeafRecord(disk: UInt16(disk), leaf: UInt64(leaf), kind: kind, digest: digests[disk][leaf])
  }

  /// Whether something was said of every leaf.
  public var isComplete: Bool { kinds.allSatisfy { !$0.contains(Self.none) } }

  /// How many leaves of a disk are of this kind.
  public func count(of kind: LeafKind, disk: Int) -> UInt64 { UInt64(kinds[disk].count { $0 == kind.rawValue }) }

  /// SHA-256 over 33 bytes a leaf (kind, digest), all leaves in order, as 64 hex digits; a leaf that nothing was said of
  /// counts as unknown.
  public func root(disk: Int) -> String {
    var hash = SHA256()
    for start in stride(from: 0, to: kinds[disk].count, by: 65_536) {
      var bytes: [UInt8] = []
      for leaf in start..<min(start + 65_536, kinds[disk].count) {
        bytes.append(LeafKind(rawValue: kinds[disk][leaf])?.rawValue ?? LeafKind.unknown.rawValue)
        bytes += digests[disk][leaf].bytes
      }
      hash.update(data: bytes)
    }
    return Hex.encode(Array(hash.finalize()))
  }
}
