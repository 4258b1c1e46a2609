/// The manifests that together speak of every leaf of a replica as it stood at one seal, oldest first: the sealed ones,
/// and between them those of sessions that ended without a seal.
public struct ManifestHistory: Hashable, Sendable {
  public struct Manifest: Hashable, Sendable {
    public var session: String
    /// The last sealed chain of the migration before it, in hex; empty before the first.
    public var previous: String
    /// The agent's signature over the whole chain (base64url); empty where the session ended without a seal.
    public var signature: String
    public var parts: [[UInt8]]
    public init(session: String, previous: String, signature: String, parts: [[UInt8]]) {
      (self.session, self.previous, self.signature, self.parts) = (session, previous, signature, parts)
    }

    /// The chain over the first `count` parts; nil where there are fewer.
    public func chain(parts count: Int) -> ManifestChain? {
      guard count <= parts.count else { return nil }
      var chain = ManifestChain(session: session, previous: previous)
      for part in parts.prefix(count) { chain.append(part: part) }
      return chain
    }

    /// The chain over all parts.
    public var chain: ManifestChain { chain(parts: parts.count) ?? ManifestChain(session: session, previous: previous) }
  }

  /// Why bytes were refused.
  public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  public var manifests: [Manifest]

  public init(manifests: [Manifest]) { self.manifests = manifests }

  /// As api/wire.md says: a count, then the manifests.
  public func encode() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt32(manifests.count))
    for manifest in manifests {
      for text in [manifest.session, manifest.previous, manifest.signature] {
        bytes.append(littleEndian: UInt16(text.utf8.count))
        bytes += text.utf8
      }
      bytes.append(littleEndian: UInt32(manifest.parts.count))
      for part in manifest.parts {
        bytes.append(littleEndian: UInt32(part.count))
        bytes += part
      }
    }
    return bytes
  }

  /// - Throws: `Malformed` for anything but what `encode` gives.
  public init(decoding bytes: [UInt8]) throws(Malformed) {
    var reader = Reader(bytes: bytes)
    manifests = []
    for _ in 0..<(try reader.integer(UInt32.self)) {
      let (session, previous, signature) = (try reader.text(), try reader.text(), try reader.text())
      var parts: [[UInt8]] = []
      for _ in 0..<(try reader.integer(UInt32.self)) { parts.append(try reader.take(try reader.integer(UInt32.self))) }
      manifests.append(Manifest(session: session, previous: previous, signature: signature, parts: parts))
    }
    guard reader.isAtEnd else { throw Malformed(description: "bytes follow after the last manifest") }
  }

  private struct Reader {
    let bytes: [UInt8]
    var place = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func take(_ count: some FixedWidthInteger) throws(Malformed) -> [UInt8] {
      guard count <= bytes.count - place else { throw Malformed(description: "it ends in the middle of a manifest") }
      defer { place += Int(count) }
      return Array(bytes[place..<place + Int(count)])
    }

    mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(Malformed) -> Value {
      try take(Value.bitWidth / 8).littleEndian(at: 0)
    }

    mutating func text() throws(Malformed) -> String {
      let raw = try take(try integer(UInt16.self))
      guard let text = String(validating: raw, as: UTF8.self) else {
        throw Malformed(description: "a name in it is not UTF-8")
      }
      return text
    }
  }
}
