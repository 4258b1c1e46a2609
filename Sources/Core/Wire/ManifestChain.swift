import Crypto

/// The running hash over the parts of a session's manifest (api/wire.md): each sync's chain begins with the one sealed
/// before it, so that no sync can be left out unseen.
public struct ManifestChain: Hashable, Sendable {
  /// 32 bytes.
  public private(set) var value: [UInt8]
  /// Parts appended so far.
  public private(set) var parts: UInt64

  /// - Parameter previous: the last sealed chain of the migration as 64 hex digits; empty before the first seal.
  public init(session: String, previous: String) {
    var hash = SHA256()
    hash.update(data: Array("godwit-manifest-1".utf8) + [0] + Array(session.utf8) + [0] + Array(previous.utf8))
    (value, parts) = (Array(hash.finalize()), 0)
  }

  /// Goes on from a chain that was stored.
  /// - Parameter hex: 64 hex digits; nil is returned for anything else.
  public init?(resuming hex: String, parts: UInt64) {
    guard let bytes = Hex.decode(hex), bytes.count == 32 else { return nil }
    (value, self.parts) = (bytes, parts)
  }

  /// Adds the next part: the body of a flush as it was sent.
  public mutating func append(part: [UInt8]) {
    var hash = SHA256()
    hash.update(data: value)
    hash.update(data: Array(SHA256.hash(data: part)))
    value = Array(hash.finalize())
    parts += 1
  }

  /// 64 hex digits, as in `SealRequest.chain`.
  public var hex: String { Hex.encode(value) }

  private var signedBytes: [UInt8] { Array("godwit-seal-1".utf8) + [0] + value }

  /// The agent's signature over the chain, base64url, as in `SealRequest.signature`.
  public func sign(with key: AgentKey) throws -> String { Base64URL.encode(try key.sign(signedBytes)) }

  /// Whether `signature` (base64url) over this chain was made by the holder of `publicKey` (32 bytes).
  public func isSigned(_ signature: String, by publicKey: [UInt8]) -> Bool {
    guard let bytes = Base64URL.decode(signature) else { return false }
    return AgentKey.verify(bytes, of: signedBytes, publicKey: publicKey)
  }
}
