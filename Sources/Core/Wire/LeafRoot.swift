import Crypto
public import Replication

/// How the root of a disk is made of its leaves: SHA-256 over the digests of chunks, so that chunks that did not change
/// need not be hashed again, and an empty delta costs the same on every disk (api/wire.md).
public enum LeafRoot {
  /// Leaves in a chunk; the last one of a disk may have fewer.
  public static let chunk = 1024

  /// The leaves of chunk `index` on a disk of `count` leaves.
  public static func leaves(ofChunk index: Int, count: Int) -> Range<Int> {
    index * chunk..<min((index + 1) * chunk, count)
  }

  /// How many chunks `count` leaves make.
  public static func chunks(count: Int) -> Int { (count + chunk - 1) / chunk }

  /// SHA-256 over 33 bytes a leaf: its kind, and its digest (zeros for what is not data).
  ///
  /// - Parameter leaf: kind and digest of the leaf at that place of the chunk.
  public static func digest(count: Int, leaf: (Int) -> (kind: LeafKind, digest: LeafDigest)) -> LeafDigest {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * (1 + LeafDigest.size))
    for place in 0..<count {
      let (kind, digest) = leaf(place)
      bytes.append(kind.rawValue)
      for word in [digest.a, digest.b, digest.c, digest.d] { bytes.append(littleEndian: word) }
    }
    return LeafDigest(bytes: Array(SHA256.hash(data: bytes))) ?? .none
  }

  /// The digest of a chunk whose leaves are all of one kind, which is not data.
  public static func digest(count: Int, all kind: LeafKind) -> LeafDigest {
    count == chunk
      ? wholeChunks[Int(kind.rawValue)] : digest(count: count) { _ in (kind: kind, digest: LeafDigest.none) }
  }

  private static let wholeChunks = LeafKind.allCases.map { kind in
    digest(count: chunk) { _ in (kind: kind, digest: LeafDigest.none) }
  }

  /// The root as 64 hex digits, from the digests of all chunks in order.
  public static func root(of chunks: some Swift.Sequence<LeafDigest>) -> String {
    var hash = SHA256()
    hash.update(data: Array("godwit-root-1\0".utf8))
    for digest in chunks { hash.update(data: digest.bytes) }
    return Hex.encode(Array(hash.finalize()))
  }
}
