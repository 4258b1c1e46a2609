/// What a tenant bought: seats, one for each machine that is migrated, for a time. Signed by the operator with Ed25519, so
/// that anyone with the public key can check it offline.
public struct Licence: Codable, Hashable, Sendable, Identifiable {
  /// What kind it is; on it nothing depends but its bounds. One of a later version is kept as it is named.
  public struct Edition: RawRepresentable, Codable, Hashable, Sendable {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    /// To try the platform: at most 25 seats for 90 days.
    public static let evaluation = Edition(rawValue: "evaluation")
    public static let standard = Edition(rawValue: "standard")
    public static let enterprise = Edition(rawValue: "enterprise")
    /// Those that are issued.
    public static let all = [evaluation, standard, enterprise]

    /// The most that is issued: seats, and days it is good for.
    public var most: (seats: Int, days: Int) { self == .evaluation ? (25, 90) : (1_000_000, 3660) }
  }

  public static let issuer = "godwit-licensing"
  static let type = "godwit-licence+jwt"

  public var iss: String
  /// `lic-...`
  public var id: String
  public var tenant: String
  public var edition: Edition
  public var seats: Int
  /// Seconds since 1970: when it was issued, from when and until when (exclusive) it is good.
  public var iat: Int
  public var nbf: Int
  public var exp: Int

  public init(id: String, tenant: String, edition: Edition, seats: Int, iat: Int, nbf: Int, exp: Int) {
    (iss, self.id, self.tenant) = (Self.issuer, id, tenant)
    (self.edition, self.seats) = (edition, seats)
    (self.iat, self.nbf, self.exp) = (iat, nbf, exp)
  }

  /// The licence as it is handed out: a compact JWS.
  public func signed(with key: AgentKey) throws -> String {
    try CompactJWS.sign(self, header: .init(typ: Self.type, kid: key.thumbprint), with: key)
  }

  /// Why a text is no licence.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(String)
    /// None of the given keys made the signature.
    case wrongSignature
    public var description: String {
      switch self {
      case .malformed(let what): "It is no licence: \(what)."
      case .wrongSignature: "It was not signed by a known licensing key, or was changed since."
      }
    }
  }

  /// The licence that a text holds, if one of `keys` signed it. Whether its time has come, or is over, is `standing`.
  /// - Parameter keys: public keys, 32 bytes each.
  /// - Throws: `Failure`.
  public init(_ text: String, keys: [[UInt8]]) throws {
    let token: CompactJWS
    do { token = try CompactJWS(parsing: text) } catch { throw Failure.malformed("\(error)") }
    guard token.header.typ == Self.type else { throw Failure.malformed("its type is another one") }
    guard keys.contains(where: token.isSigned(by:)) else { throw Failure.wrongSignature }
    do { self = try token.claims(as: Licence.self) } catch { throw Failure.malformed("\(error)") }
    guard iss == Self.issuer, seats > 0, nbf < exp else {
      throw Failure.malformed("what it says does not fit together")
    }
  }

  /// What a licence is worth at an instant.
  public enum Standing: String, Codable, Hashable, Sendable {
    case early, good, expired
  }

  /// - Parameter now: seconds since 1970.
  public func standing(at now: Int) -> Standing { now < nbf ? .early : now < exp ? .good : .expired }
}
