import FoundationEssentials

/// A signed token: the compact form of JWS (RFC 7515) with `EdDSA` (RFC 8037) as the only algorithm there is.
///
/// Parsing proves nothing; only `verify` does.
public struct CompactJWS: Sendable {
  public struct Header: Codable, Hashable, Sendable {
    /// Always `EdDSA`.
    public var alg: String
    /// What kind of token it is: `dpop+jwt`, `JWT`. A verifier compares it, so that one kind never passes for another.
    public var typ: String?
    /// Names the signing key in the signer's published set.
    public var kid: String?
    /// The signing key itself, where the token proves possession of it.
    public var jwk: PublicJWK?
    /// Extensions the reader must understand. We know none: a token with any is refused.
    public var crit: [String]?
    public init(typ: String? = nil, kid: String? = nil, jwk: PublicJWK? = nil) {
      (alg, self.typ, self.kid, self.jwk) = ("EdDSA", typ, kid, jwk)
    }
  }

  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not three base64url parts of sane length, or not the JSON that was expected.
    case malformed(String)
    /// Another algorithm than EdDSA, or an extension we do not know.
    case unsupported(String)
    case wrongType(expected: String, found: String?)
    case wrongSignature

    public var description: String {
      switch self {
      case .malformed(let what): "the token is malformed: \(what)"
      case .unsupported(let what): "the token asks for \(what); only EdDSA without extensions is accepted"
      case .wrongType(let expected, let found): "the token is a \(found ?? "token without type"), not a \(expected)"
      case .wrongSignature: "the token's signature was not made by the expected key"
      }
    }
  }

  /// Longer tokens are refused unread, in bytes.
  public static let maximumLength = 64 << 10

  public let header: Header
  public let payload: [UInt8]
  private let signed: [UInt8]
  private let signature: [UInt8]

  /// Signs `claims`, with keys sorted so that equal claims give equal tokens.
  public static func sign(_ claims: some Encodable, header: Header = Header(typ: "JWT"), with key: AgentKey) throws
    -> String
  {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try sign(payload: Array(encoder.encode(claims)), header: Array(encoder.encode(header)), with: key)
  }

  static func sign(payload: [UInt8], header: [UInt8], with key: AgentKey) throws -> String {
    let signed = Base64URL.encode(header) + "." + Base64URL.encode(payload)
    return signed + "." + Base64URL.encode(try key.sign(Array(signed.utf8)))
  }

  /// Takes a token apart without trusting it, for instance to find the key by `header.kid`.
  public init(parsing token: String) throws {
    guard token.utf8.count <= Self.maximumLength else { throw Failure.malformed("it is too long") }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
      let signature = Base64URL.decode(parts[2])
    else { throw Failure.malformed("it is not three base64url parts") }
    guard let decoded = try? JSONDecoder().decode(Header.self, from: Data(header)) else {
      throw Failure.malformed("its header is not what JWS wants")
    }
    guard decoded.alg == "EdDSA" else { throw Failure.unsupported("algorithm \(decoded.alg)") }
    guard decoded.crit == nil else { throw Failure.unsupported("critical extensions") }
    (self.header, self.payload, self.signature) = (decoded, payload, signature)
    signed = Array("\(parts[0]).\(parts[1])".utf8)
  }

  /// Whether the private half of `publicKey` (32 bytes) made the signature.
  public func isSigned(by publicKey: [UInt8]) -> Bool {
    AgentKey.verify(signature, of: signed, publicKey: publicKey)
  }

  /// The payload as `Claims`, unverified unless `isSigned` said so.
  public func claims<Claims: Decodable>(as type: Claims.Type) throws -> Claims {
    do { return try JSONDecoder().decode(type, from: Data(payload)) } catch {
      throw Failure.malformed("its claims are not a \(type)")
    }
  }

  /// The claims of a token that `publicKey` (32 bytes) signed. Expiry is the caller's to check.
  /// - Throws: `Failure`.
  public static func verify<Claims: Decodable>(
    _ token: String, publicKey: [UInt8], as type: Claims.Type, typ: String? = "JWT"
  ) throws -> Claims {
    let jws = try CompactJWS(parsing: token)
    if let typ, jws.header.typ != typ { throw Failure.wrongType(expected: typ, found: jws.header.typ) }
    guard jws.isSigned(by: publicKey) else { throw Failure.wrongSignature }
    return try jws.claims(as: type)
  }
}
