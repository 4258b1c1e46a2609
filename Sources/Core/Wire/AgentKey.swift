import Crypto

/// An Ed25519 key pair: the identity of an agent, or what a service or a gateway signs with.
public struct AgentKey: Sendable {
  private let key: Curve25519.Signing.PrivateKey

  /// A new key from the system's random source.
  public init() { key = Curve25519.Signing.PrivateKey() }

  /// - Parameter rawRepresentation: the 32 secret bytes, as `rawRepresentation` gave them.
  /// - Throws: `CryptoKitError` for any other length.
  public init(rawRepresentation: [UInt8]) throws {
    key = try Curve25519.Signing.PrivateKey(rawRepresentation: rawRepresentation)
  }

  /// The 32 secret bytes. To be stored with mode 0600 and nowhere else.
  public var rawRepresentation: [UInt8] { Array(key.rawRepresentation) }

  /// The 32 public bytes.
  public var publicKey: [UInt8] { Array(key.publicKey.rawRepresentation) }

  public var publicJWK: PublicJWK { PublicJWK(rawRepresentation: publicKey) }

  /// RFC 7638 of the public key.
  public var thumbprint: String { publicJWK.thumbprint }

  /// The 64 bytes of an Ed25519 signature over `message`.
  public func sign(_ message: [UInt8]) throws -> [UInt8] { Array(try key.signature(for: message)) }

  /// Whether `signature` over `message` was made with the private half of `publicKey` (32 bytes).
  public static func verify(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
    return key.isValidSignature(signature, for: message)
  }
}
