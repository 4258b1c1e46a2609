import Crypto
import FoundationEssentials

/// Proof that the sender of a request holds a key: DPoP (RFC 9449) with EdDSA.
///
/// It binds method, URL (without query and fragment) and access token; who verifies also remembers each `jti` for twice
/// `window` and refuses a second use.
public enum KeyProof {
  /// A proof is good for this many seconds before and after the verifier's clock.
  public static let window = 300

  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(String)
    case wrongSignature
    case wrongMethod
    case wrongURL(found: String)
    case wrongToken
    /// Seconds by which the proof's clock differs from ours.
    case outsideWindow(seconds: Int)

    public var description: String {
      switch self {
      case .malformed(let what): "the key proof is malformed: \(what)"
      case .wrongSignature: "the key proof was not signed by the key it names"
      case .wrongMethod: "the key proof is for another method"
      case .wrongURL(let found): "the key proof is for \(found)"
      case .wrongToken: "the key proof is for another access token"
      case .outsideWindow(let seconds):
        "the key proof's time differs by \(seconds) s from this clock; set the clocks (at most \(KeyProof.window) s)"
      }
    }
  }

  private struct Claims: Codable {
    var jti: String
    var htm: String
    var htu: String
    var iat: Int
    var ath: String?
  }

  /// - Parameters:
  ///   - url: the request's URL; query and fragment are left out.
  ///   - accessToken: the token sent beside the proof; nil before there is one (enrolment).
  ///   - now: seconds since 1970.
  ///   - jti: unique for each request.
  public static func make(
    key: AgentKey, method: String, url: String, accessToken: String?, now: Int, jti: String
  ) throws -> String {
    let claims = Claims(
      jti: jti, htm: method, htu: normalized(url), iat: now, ath: accessToken.map(hash(of:)))
    return try CompactJWS.sign(claims, header: .init(typ: "dpop+jwt", jwk: key.publicJWK), with: key)
  }

  /// - Returns: the thumbprint of the key that signed, to be compared with the token's `cnf.jkt`, and the `jti`.
  /// - Throws: `Failure`.
  public static func verify(
    _ proof: String, method: String, url: String, accessToken: String?, now: Int
  ) throws -> (thumbprint: String, jti: String) {
    let jws: CompactJWS
    let claims: Claims
    do {
      jws = try CompactJWS(parsing: proof)
      claims = try jws.claims(as: Claims.self)
    } catch { throw Failure.malformed("\(error)") }
    guard jws.header.typ == "dpop+jwt" else { throw Failure.malformed("its type is not dpop+jwt") }
    guard let jwk = jws.header.jwk, let key = jwk.rawRepresentation else {
      throw Failure.malformed("it carries no Ed25519 key")
    }
    guard (1...128).contains(claims.jti.utf8.count) else { throw Failure.malformed("its jti is empty or too long") }
    guard jws.isSigned(by: key) else { throw Failure.wrongSignature }
    guard claims.htm == method else { throw Failure.wrongMethod }
    guard normalized(claims.htu) == normalized(url) else { throw Failure.wrongURL(found: claims.htu) }
    guard claims.ath == accessToken.map(hash(of:)) else { throw Failure.wrongToken }
    let (difference, overflow) = now.subtractingReportingOverflow(claims.iat)
    guard !overflow, difference.magnitude <= UInt(window) else {
      throw Failure.outsideWindow(seconds: overflow ? .max : difference)
    }
    return (jwk.thumbprint, claims.jti)
  }

  private static func hash(of token: String) -> String {
    Base64URL.encode(SHA256.hash(data: Array(token.utf8)))
  }

  /// Scheme and authority in lower case, default port, query and fragment left out.
  static func normalized(_ url: String) -> String {
    let bare = url.prefix { $0 != "?" && $0 != "#" }
    guard let scheme = bare.firstRange(of: "://") else { return String(bare) }
    let rest = bare[scheme.upperBound...]
    let name = bare[..<scheme.lowerBound].lowercased()
    var authority = rest.prefix { $0 != "/" }.lowercased()
    let path = rest.dropFirst(authority.count)
    for (known, port) in [("https", ":443"), ("http", ":80")] where name == known && authority.hasSuffix(port) {
      authority.removeLast(port.count)
    }
    return "\(name)://\(authority)\(path.isEmpty ? "/" : path)"
  }
}
