public import Replication

/// What manifests say of every leaf of some disks: for each leaf its last record. 33 bytes in memory for each leaf of a
/// chunk of which not everything is the same.
public struct LeafPicture: Sendable {
  fileprivate static let none: UInt8 = 0xFF

  fileprivate struct Chunk {
    /// What all leaves are, as long as `kinds` is empty.
    var all = LeafPicture.none
    var kinds: [UInt8] = []
    /// Empty as long as no leaf is data.
    var digests: [LeafDigest] = []

    func kind(_ place: Int) -> UInt8 { kinds.isEmpty ? all : kinds[place] }
    func digest(_ place: Int) -> LeafDigest { digests.isEmpty ? .none : digests[place] }
  }

  private struct Disk {
    var count: Int
    var chunks: [Chunk]

    func leaves(of chunk: Int) -> Range<Int> { LeafRoot.leaves(ofChunk: chunk, count: count) }
  }

  private var disks: [Disk]

  /// Nothing is said yet.
  /// - Parameter counts: leaves of each disk.
  public init(counts: [Int]) {
    disks = counts.map { Disk(count: $0, chunks: Array(repeating: Chunk(), count: LeafRoot.chunks(count: $0))) }
  }

  /// Takes in the next part of a manifest. One that is not sound adds nothing, so that its leaves do not agree.
  public mutating func add(_ part: [UInt8]) {
    guard let records = try? LeafRecord.decode(part: part) else { return }
    for record in records { add(record) }
  }

  public mutating func add(_ record: LeafRecord) {
    let disk = Int(record.disk)
    guard disks.indices.contains(disk), record.leaf < UInt64(disks[disk].count) else { return }
    let end = Int(min(record.leaf + UInt64(record.run), UInt64(disks[disk].count)))
    var leaf = Int(record.leaf)
    while leaf < end {
      let chunk = leaf / LeafRoot.chunk
      let leaves = disks[disk].leaves(of: chunk)
      let stop = min(end, leaves.upperBound)
      disks[disk].chunks[chunk]
        .set(leaf - leaves.lowerBound..<stop - leaves.lowerBound, of: leaves.count, record.kind, record.digest)
      leaf = stop
    }
  }

  /// Leaves of a disk.
  public func count(disk: Int) -> Int { disks[disk].count }

  /// The last record of that leaf, nil where nothing was said of it.
  public func record(disk: Int, leaf: Int) -> LeafRecord? {
    let chunk = disks[disk].chunks[leaf / LeafRoot.chunk]
    let place = leaf % LeafRoot.chunk
    guard let kind = LeafKind(rawValue: chunk.kind(place)) else { return nil }
    return LeafRecord(disk: UInt16(disk), leaf: UInt64(leaf), kind: kind, digest: chunk.digest(place))
  }

  /// Whether of the leaves of a chunk nothing was said but, perhaps, that they are `kind`.
  public func saysNothing(disk: Int, chunk: Int, but kind: LeafKind? = nil) -> Bool {
    let chunk = disks[disk].chunks[chunk]
    return chunk.kinds.isEmpty && (chunk.all == Self.none || chunk.all == kind?.rawValue)
  }

  /// How many leaves of a disk are of this kind.
  public func count(of kind: LeafKind, disk: Int) -> UInt64 {
    disks[disk].chunks.enumerated().reduce(0) { sum, entry in
      let (index, chunk) = entry
      if !chunk.kinds.isEmpty { return sum + UInt64(chunk.kinds.count { $0 == kind.rawValue }) }
      return chunk.all == kind.rawValue ? sum + UInt64(disks[disk].leaves(of: index).count) : sum
    }
  }

  /// The disk's `LeafRoot`; a leaf that nothing was said of counts as unknown.
  public func root(disk: Int) -> String {
    LeafRoot.root(
      of: disks[disk].chunks.enumerated().lazy.map { index, chunk in
        let count = disks[disk].leaves(of: index).count
        if chunk.kinds.isEmpty { return LeafRoot.digest(count: count, all: LeafKind(rawValue: chunk.all) ?? .unknown) }
        return LeafRoot.digest(count: count) { place in
          (kind: LeafKind(rawValue: chunk.kinds[place]) ?? .unknown, digest: chunk.digest(place))
        }
      })
  }
}

extension LeafPicture.Chunk {
  fileprivate mutating func set(_ places: Range<Int>, of count: Int, _ kind: LeafKind, _ digest: LeafDigest) {
    if kind != .data, places.count == count || (kinds.isEmpty && all == kind.rawValue) {
      self = Self(all: kind.rawValue)
      return
    }
    if kinds.isEmpty { kinds = Array(repeating: all, count: count) }
    if kind == .data, digests.isEmpty { digests = Array(repeating: .none, count: count) }
    for place in places {
      kinds[place] = kind.rawValue
      if !digests.isEmpty { digests[place] = kind == .data ? digest : .none }
    }
  }
}
