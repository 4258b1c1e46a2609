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
  let folder: DurableFolder
  private let file: DurableFile
  private let digestsStart: UInt64
  private let state: Mutex<State>

  private struct State {
    /// A byte for each leaf, as in the file.
    var kinds: [UInt8]
    /// Of each chunk what the root is made of; nil where a leaf changed since.
    var chunks: [Chunk?]
    /// Grows with every change.
    var version = 0

    mutating func changed(_ leaves: Range<Int>) {
      version += 1
      guard !leaves.isEmpty else { return }
      for chunk in leaves.lowerBound / LeafRoot.chunk...(leaves.upperBound - 1) / LeafRoot.chunk { chunks[chunk] = nil }
    }
  }

  private struct Chunk {
    var digest: LeafDigest
    /// Leaves of each kind, by its raw value.
    var counts: [UInt64]
  }

  /// Loads the map, or creates one that knows nothing. A map that is damaged, or of a volume of another size, is put
  /// aside and begun anew. Where the volume may hold something a new map is `isUnread`.
  ///
  /// - Parameters:
  ///   - size: bytes of the volume.
  ///   - isBlank: nothing was ever written to the volume.
  init(folder: DurableFolder, size: UInt64, isBlank: Bool) throws(StoreError) {
    self.folder = folder
    count = Int(Leaf.count(bytes: size))
    let header = Self.header(size: size)
    let length: UInt64
    (digestsStart, length) = Self.layout(count: count)
    if try !Self.isSound(folder, header: header, length: length) {
      let isDamaged = folder.exists("map")
      if isDamaged || !isBlank { try Self.noteUnread(folder) }
      if isDamaged { rename(folder.file("map"), folder.file("map.damaged")) }
      try folder.replace("map") { file throws(StoreError) in
        try file.write(header.span.bytes, at: 0)
        try file.truncate(to: length)
      }
    }
    file = try DurableFile(folder.file("map"))
    let loaded = try file.read(Self.headerSize..<Self.headerSize + UInt64(count))
    state = Mutex(State(kinds: loaded, chunks: Array(repeating: nil, count: LeafRoot.chunks(count: count))))
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
    let bytes = state.withLock { Array($0.kinds[leaves]) }
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
    state.withLock { state in
      var bitmap = Bitmap(count: state.kinds.count)
      for (index, byte) in state.kinds.enumerated() where matches(Self.kind(byte)) { bitmap[index] = true }
      return bitmap
    }
  }

  /// Whether every one of `leaves` is sealed, or every one free.
  func isSettled(_ leaves: Range<Int>) -> (sealed: Bool, free: Bool) {
    state.withLock { state in
      let bytes = state.kinds[leaves]
      return (bytes.allSatisfy { $0 & Self.sealed != 0 }, bytes.allSatisfy { Self.kind($0) == .free })
    }
  }

  private func digestRange(_ leaves: Range<Int>) -> Range<UInt64> {
    digestsStart + UInt64(leaves.lowerBound * LeafDigest.size)..<digestsStart
      + UInt64(leaves.upperBound * LeafDigest.size)
  }

  // MARK: Changing

  /// Durably forgets these leaves. Leaves that are unknown already cost nothing.
  func markUnknown(_ leaves: [Int]) throws(StoreError) {
    let changed = state.withLock { state in
      leaves.filter { leaf in
        guard state.kinds[leaf] != LeafKind.unknown.rawValue else { return false }
        state.kinds[leaf] = LeafKind.unknown.rawValue
        state.changed(leaf..<leaf + 1)
        return true
      }
    }
    guard !changed.isEmpty else { return }
    try writeKinds(of: changed.sorted().map { $0..<$0 + 1 })
    try file.sync()
  }

  /// Durably forgets every leaf: the volume is not the one this map was kept for.
  func forgetAll() throws(StoreError) {
    try Self.noteUnread(folder)
    state.withLock { state in
      for leaf in state.kinds.indices { state.kinds[leaf] = LeafKind.unknown.rawValue }
      state.changed(0..<count)
    }
    try writeKinds(of: [0..<count])
    try file.sync()
  }

  /// Durably records what the agent says these leaves hold, as not yet read back. The volume is flushed.
  func claim(_ records: [LeafRecord]) throws(StoreError) {
    let data = records.filter { $0.kind == .data }.sorted { $0.leaf < $1.leaf }
    for record in data { try writeDigest(record.digest, of: Int(record.leaf)) }
    if !data.isEmpty { try file.sync() }
    let ranges = records.map { Int($0.leaf)..<Int($0.leaf) + Int($0.run) }
    state.withLock { state in
      for (record, leaves) in zip(records, ranges) {
        for leaf in leaves { state.kinds[leaf] = record.kind.rawValue }
        state.changed(leaves)
      }
    }
    guard !ranges.isEmpty else { return }
    try writeKinds(of: ranges.sorted { $0.lowerBound < $1.lowerBound })
    try file.sync()
  }

  /// Writes a digest that no kind makes valid yet.
  func writeDigest(_ digest: LeafDigest, of leaf: Int) throws(StoreError) {
    try file.write(digest.bytes.span.bytes, at: digestRange(leaf..<leaf + 1).lowerBound)
  }

  /// Durably seals leaves as what was agreed on; the digests are written.
  ///
  /// - Parameter runs: ascending.
  func seal(_ runs: [(leaves: Range<Int>, kind: LeafKind)]) throws(StoreError) {
    guard !runs.isEmpty else { return }
    try file.sync()
    state.withLock { state in
      for (leaves, kind) in runs {
        for leaf in leaves { state.kinds[leaf] = kind.rawValue | Self.sealed }
        state.changed(leaves)
      }
    }
    try writeKinds(of: runs.map(\.leaves))
    try file.sync()
  }

  /// Forgets that these leaves were read back: the next seal reads them again. What they should hold stays known.
  func unseal(_ leaves: Range<Int>) throws(StoreError) {
    let leaves = leaves.clamped(to: 0..<count)
    guard !leaves.isEmpty else { return }
    state.withLock { state in
      for leaf in leaves { state.kinds[leaf] &= ~Self.sealed }
    }
    try writeKinds(of: [leaves])
    try file.sync()
  }

  /// Durably keeps a copy of the map as it stands, under `points/NAME`.
  func version(as name: String) throws(StoreError) {
    try folder.folder("points").replace(name) { target throws(StoreError) in try file.copy(to: target) }
  }

  /// Writes the kind bytes of these leaves (ascending), neighbours in one call.
  private func writeKinds(of ranges: [Range<Int>]) throws(StoreError) {
    var start = 0
    while start < ranges.count {
      var run = ranges[start]
      start += 1
      // Bytes between two near leaves are rewritten as they stand, which is cheaper than another call.
      while start < ranges.count, ranges[start].lowerBound < run.upperBound + 4096 {
        run = run.lowerBound..<max(run.upperBound, ranges[start].upperBound)
        start += 1
      }
      try state.withLock { state throws(StoreError) in
        try file.write(state.kinds.span.bytes.extracting(run), at: Self.headerSize + UInt64(run.lowerBound))
      }
    }
  }

  // MARK: Root

  /// The root over all leaves, and how many there are of each kind. Only what changed since is read again.
  func summary() throws(StoreError) -> (root: String, counts: [LeafKind: UInt64]) {
    let (known, version) = state.withLock { ($0.chunks, $0.version) }
    var chunks: [Chunk] = []
    chunks.reserveCapacity(known.count)
    for (index, chunk) in known.enumerated() {
      if let chunk {
        chunks.append(chunk)
      } else {
        chunks.append(try summary(of: LeafRoot.leaves(ofChunk: index, count: count)))
      }
    }
    state.withLock { state in
      if state.version == version { state.chunks = chunks }
    }
    var counts: [LeafKind: UInt64] = [:]
    for kind in LeafKind.allCases { counts[kind] = chunks.reduce(0) { $0 + $1.counts[Int(kind.rawValue)] } }
    return (LeafRoot.root(of: chunks.lazy.map(\.digest)), counts)
  }

  private func summary(of leaves: Range<Int>) throws(StoreError) -> Chunk {
    let states = try states(leaves)
    var counts = LeafKind.allCases.map { _ in UInt64(0) }
    for state in states { counts[Int(state.kind.rawValue)] += 1 }
    let kind = states[0].kind
    let isUniform = kind != .data && counts[Int(kind.rawValue)] == UInt64(states.count)
    let digest =
      isUniform
      ? LeafRoot.digest(count: states.count, all: kind)
      : LeafRoot.digest(count: states.count) { (kind: states[$0].kind, digest: states[$0].digest) }
    return Chunk(digest: digest, counts: counts)
  }
}

extension UInt64 {
  /// The 8 bytes, lowest first.
  var littleEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }
}
