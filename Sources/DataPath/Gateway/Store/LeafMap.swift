import Glibc
import Replication
import Synchronization
import Wire

/// What is known of each leaf of one volume, on stable storage: a byte of kind and 32 bytes of digest a leaf.
///
/// The file never claims more than was durable on the volume when it was claimed: digests are durable before kinds, and
/// `unknown` is durable before bytes change. Calls block.
final class LeafMap: Sendable {
  /// Bit 7 of a kind byte: read back by a seal and not written since.
  private static let sealed: UInt8 = 0x80
  private static let magic = Array("GWLM1\0\0\0".utf8)
  static let headerSize: UInt64 = 4096

  /// Leaves of the volume.
  let count: Int
  private let folder: DurableFolder
  private let file: DurableFile
  private let digestsStart: UInt64
  private let kinds: Mutex<[UInt8]>

  /// Loads the map, or creates one that knows nothing. A map that is damaged, or of a volume of another size, is put
  /// aside and begun anew: what is unknown is sent again.
  ///
  /// - Parameter size: bytes of the volume.
  init(folder: DurableFolder, size: UInt64) throws(StoreError) {
    self.folder = folder
    count = Int(Leaf.count(bytes: size))
    let header = Self.header(size: size)
    let length: UInt64
    (digestsStart, length) = Self.layout(count: count)
    if try !Self.isSound(folder, header: header, length: length) {
      if folder.exists("map") { rename(folder.file("map"), folder.file("map.damaged")) }
      try folder.replace("map") { file throws(StoreError) in
        try file.write(header.span.bytes, at: 0)
        try file.truncate(to: length)
      }
    }
    file = try DurableFile(folder.file("map"))
    let loaded = try file.read(Self.headerSize..<Self.headerSize + UInt64(count))
    kinds = Mutex(loaded)
    // A sync that failed in an earlier life may have left the cache ahead of the disk; writing makes them equal.
    try file.write(loaded.span.bytes, at: Self.headerSize)
    try file.sync()
  }

  static func header(size: UInt64) -> [UInt8] { magic + size.littleEndianBytes }

  /// Where the digests begin, and the length of the file.
  static func layout(count: Int) -> (digests: UInt64, length: UInt64) {
    let kindsEnd = (headerSize + UInt64(count) + 4095) / 4096 * 4096
    return (kindsEnd, kindsEnd + UInt64(count * LeafDigest.size))
  }

  private static func isSound(_ folder: DurableFolder, header: [UInt8], length: UInt64) throws(StoreError) -> Bool {
    guard folder.exists("map") else { return false }
    let file = try DurableFile(folder.file("map"), flags: O_RDONLY)
    guard try file.length() == length else { return false }
    return try file.read(0..<UInt64(header.count)) == header
  }

  // MARK: Reading

  static func kind(_ byte: UInt8) -> LeafKind { LeafKind(rawValue: byte & 0x7F) ?? .unknown }

  /// The states of `leaves`, in order.
  func states(_ leaves: Range<Int>) throws(StoreError) -> [LeafState] {
    let bytes = kinds.withLock { Array($0[leaves]) }
    guard bytes.contains(where: { Self.kind($0) == .data }) else {
      return bytes.map { LeafState(kind: Self.kind($0), sealed: $0 & Self.sealed != 0) }
    }
    let digests = try file.read(digestRange(leaves))
    var states: [LeafState] = []
    states.reserveCapacity(leaves.count)
    for (index, byte) in bytes.enumerated() {
      let place = index * LeafDigest.size..<(index + 1) * LeafDigest.size
      let digest = place.upperBound <= digests.count ? LeafDigest(bytes: digests.span.bytes.extracting(place)) : nil
      let kind = Self.kind(byte)
      states.append(
        LeafState(
          kind: kind, digest: kind == .data ? digest ?? .none : .none, sealed: byte & Self.sealed != 0))
    }
    return states
  }

  /// The leaves whose whole content is known.
  func held() -> Bitmap { leaves { $0 == .zero || $0 == .data } }

  /// The leaves of which nothing is known.
  func unknown() -> Bitmap { leaves { $0 == .unknown } }

  private func leaves(where matches: (LeafKind) -> Bool) -> Bitmap {
    kinds.withLock { kinds in
      var bitmap = Bitmap(count: kinds.count)
      for (index, byte) in kinds.enumerated() where matches(Self.kind(byte)) { bitmap[index] = true }
      return bitmap
    }
  }

  private func digestRange(_ leaves: Range<Int>) -> Range<UInt64> {
    digestsStart + UInt64(leaves.lowerBound * LeafDigest.size)..<digestsStart
      + UInt64(leaves.upperBound * LeafDigest.size)
  }

  // MARK: Changing

  /// Durably forgets these leaves. Leaves that are unknown already cost nothing.
  func markUnknown(_ leaves: [Int]) throws(StoreError) {
    let changed = kinds.withLock { kinds in
      leaves.filter { leaf in
        defer { kinds[leaf] = LeafKind.unknown.rawValue }
        return kinds[leaf] != LeafKind.unknown.rawValue
      }
    }
    guard !changed.isEmpty else { return }
    try writeKinds(of: changed)
    try file.sync()
  }

  /// Durably forgets every leaf: the volume is not the one this map was kept for.
  func forgetAll() throws(StoreError) { try markUnknown(Array(0..<count)) }

  /// Durably records what the agent says these leaves hold, as not yet read back. The volume is flushed.
  func claim(_ records: [LeafRecord]) throws(StoreError) {
    let data = records.filter { $0.kind == .data }.sorted { $0.leaf < $1.leaf }
    for record in data { try writeDigest(record.digest, of: Int(record.leaf)) }
    if !data.isEmpty { try file.sync() }
    var changed: [Int] = []
    kinds.withLock { kinds in
      for record in records {
        for leaf in Int(record.leaf)..<Int(record.leaf) + Int(record.run) where kinds[leaf] != record.kind.rawValue {
          kinds[leaf] = record.kind.rawValue
          changed.append(leaf)
        }
      }
    }
    guard !changed.isEmpty else { return }
    try writeKinds(of: changed)
    try file.sync()
  }

  /// Writes a digest that no kind makes valid yet.
  func writeDigest(_ digest: LeafDigest, of leaf: Int) throws(StoreError) {
    try file.write(digest.bytes.span.bytes, at: digestRange(leaf..<leaf + 1).lowerBound)
  }

  /// Durably seals the leaves for which `agreed` has a kind (their digests are written).
  func seal(_ agreed: [LeafKind?]) throws(StoreError) {
    try file.sync()
    let bytes = kinds.withLock { kinds in
      for (leaf, kind) in agreed.enumerated() {
        if let kind { kinds[leaf] = kind.rawValue | Self.sealed }
      }
      return kinds
    }
    try file.write(bytes.span.bytes, at: Self.headerSize)
    try file.sync()
  }

  /// Forgets that these leaves were read back: the next seal reads them again. What they should hold stays known.
  func unseal(_ leaves: Range<Int>) throws(StoreError) {
    let leaves = leaves.clamped(to: 0..<count)
    try kinds.withLock { kinds throws(StoreError) in
      for leaf in leaves { kinds[leaf] &= ~Self.sealed }
      guard !leaves.isEmpty else { return }
      try file.write(kinds.span.bytes.extracting(leaves), at: Self.headerSize + UInt64(leaves.lowerBound))
    }
    try file.sync()
  }

  /// Durably keeps a copy of the map as it stands, under `points/NAME`.
  func version(as name: String) throws(StoreError) {
    try folder.folder("points").replace(name) { target throws(StoreError) in try file.copy(to: target) }
  }

  /// Writes the kind bytes of these leaves, neighbours in one call.
  private func writeKinds(of leaves: [Int]) throws(StoreError) {
    let sorted = leaves.sorted()
    var start = 0
    while start < sorted.count {
      var end = start + 1
      // Bytes between two near leaves are rewritten as they stand, which is cheaper than another call.
      while end < sorted.count, sorted[end] - sorted[end - 1] < 4096 { end += 1 }
      try kinds.withLock { kinds throws(StoreError) in
        let range = sorted[start]...sorted[end - 1]
        try file.write(kinds.span.bytes.extracting(range), at: Self.headerSize + UInt64(range.lowerBound))
      }
      start = end
    }
  }
}

extension UInt64 {
  /// The 8 bytes, lowest first.
  var littleEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }
}
