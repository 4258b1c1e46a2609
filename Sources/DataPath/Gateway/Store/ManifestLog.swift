import Crypto
import Glibc
import Replication
import Wire

/// The parts of one session's manifest, appended to one file: each with its length and SHA-256, so that a part that was
/// torn by a crash is recognised and cut off. Calls block; one thread at a time.
final class ManifestLog {
  private static let prefix = 8 + SHA256.byteCount

  /// The chain over the parts stored.
  private(set) var chain: ManifestChain
  private let file: DurableFile
  private let start: ManifestChain
  private var end: UInt64 = 0
  /// Where each part's bytes stand in the file.
  private var parts: [Range<UInt64>] = []

  /// Opens the log, cutting off what was not stored as a whole.
  ///
  /// - Parameter chain: the chain before the first part.
  init(path: String, chain: ManifestChain) throws(StoreError) {
    file = try DurableFile(path, flags: O_RDWR | O_CREAT)
    (self.chain, start) = (chain, chain)
    let length = try file.length()
    while let part = try Self.part(in: file, at: end, length: length) {
      parts.append(end + UInt64(Self.prefix)..<end + UInt64(Self.prefix + part.count))
      end += UInt64(Self.prefix + part.count)
      self.chain.append(part: part)
    }
    if end < length { try file.truncate(to: end) }
    try file.sync()
  }

  /// Parts stored.
  var count: UInt64 { UInt64(parts.count) }

  /// The part at `offset`, nil where it is not whole.
  private static func part(
    in file: borrowing DurableFile, at offset: UInt64, length: UInt64
  ) throws(StoreError) -> [UInt8]? {
    let start = offset + UInt64(prefix)
    guard start <= length else { return nil }
    let head = try file.read(offset..<start)
    let size = head[..<8].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard size <= length - start else { return nil }
    let part = try file.read(start..<start + size)
    return Array(SHA256.hash(data: part)) == Array(head[8...]) ? part : nil
  }

  /// The whole parts of a log that nobody writes any more.
  static func parts(path: String) throws(StoreError) -> [[UInt8]] {
    let file = try DurableFile(path, flags: O_RDONLY)
    let length = try file.length()
    var parts: [[UInt8]] = []
    var end: UInt64 = 0
    while let part = try part(in: file, at: end, length: length) {
      parts.append(part)
      end += UInt64(prefix + part.count)
    }
    return parts
  }

  /// Durably appends the next part.
  func append(_ part: [UInt8]) throws(StoreError) {
    let bytes = UInt64(part.count).littleEndianBytes + Array(SHA256.hash(data: part)) + part
    try file.write(bytes.span.bytes, at: end)
    try file.sync()
    parts.append(end + UInt64(Self.prefix)..<end + UInt64(bytes.count))
    end += UInt64(bytes.count)
    chain.append(part: part)
  }

  /// Durably forgets all but the first `kept` parts.
  func keep(parts kept: UInt64) throws(StoreError) {
    guard kept < count else { return }
    end = kept == 0 ? 0 : parts[Int(kept) - 1].upperBound
    parts.removeSubrange(Int(kept)...)
    chain = start
    for range in parts { chain.append(part: try file.read(range)) }
    try file.truncate(to: end)
    try file.sync()
  }

  /// The bytes of a stored part.
  func part(_ number: UInt64) throws(StoreError) -> [UInt8] { try file.read(parts[Int(number)]) }

  /// The last record of every leaf, for disks of `counts` leaves.
  func lastRecords(counts: [Int]) throws(StoreError) -> LeafPicture {
    var last = LeafPicture(counts: counts)
    for range in parts { last.add(try file.read(range)) }
    return last
  }
}
