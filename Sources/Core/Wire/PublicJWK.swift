import Crypto

/// An Ed25519 public key as JSON (RFC 8037).
public struct PublicJWK: Codable, Hashable, Sendable {
  public var kty: String
  public var crv: String
  /// The 32 bytes of the key, base64url.
  public var x: String

  /// - Parameter rawRepresentation: the 32 bytes of the key.
  public init(rawRepresentation: [UInt8]) {
    (kty, crv, x) = ("OKP", "Ed25519", Base64URL.encode(rawRepresentation))
  }

  /// The 32 bytes of the key, or nil where this is not an Ed25519 key.
  public var rawRepresentation: [UInt8]? {
    guard kty == "OKP", crv == "Ed25519", let bytes = Base64URL.decode(x), bytes.count == 32 else { return nil }
    return bytes
  }

  /// The key's name: RFC 7638, SHA-256, base64url. `cnf.jkt` of the tokens bound to the key.
  public var thumbprint: String {
    // The required members in lexicographic order without white space. `rawRepresentation` vouches for the alphabet of
    // keys that were checked; a foreign `crv` or `x` only yields a thumbprint nobody has.
    Base64URL.encode(SHA256.hash(data: Array(#"{"crv":"\#(crv)","kty":"\#(kty)","x":"\#(x)"}"#.utf8)))
  }
}
