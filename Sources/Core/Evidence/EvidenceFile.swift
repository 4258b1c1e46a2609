import Crypto
import FoundationEssentials
public import Wire

/// The file that proves a point, as it lies on disk (api/wire.md). Taking it apart proves nothing; `EvidenceCheck` does.
public struct EvidenceFile: Hashable, Sendable {
  public static let magic = Array("GWEVID1\n".utf8)

  /// The sections, each exactly once and in this order.
  enum Section: UInt8, CaseIterable {
    case gatewayCertificate = 1
    case enrolmentCertificate, agentIdentity, agentStatement, receipt, manifests, point
  }

  /// DER.
  public var gatewayCertificate: [UInt8]
  public var enrolmentCertificate: [UInt8]
  /// `AgentIdentityClaims`, `AgentStatement`, `PointClaims` as compact JWS.
  public var agentIdentity: String
  public var agentStatement: String
  public var point: String
  /// Canonical JSON of a `SealReceipt`.
  public var receipt: [UInt8]
  /// A `ManifestHistory`.
  public var manifests: [UInt8]
  /// SHA-256 of all before the last section, hex.
  let content: String

  /// Makes the file; `sign` is given the digest of all that stands before the last section, and gives that section.
  public static func make(
    gatewayCertificate: [UInt8], enrolmentCertificate: [UInt8], agentIdentity: String, agentStatement: String,
    receipt: SealReceipt, manifests: [UInt8], sign: (_ content: String) throws -> String
  ) throws -> [UInt8] {
    var bytes = magic
    let receipt = try encode(receipt)
    for (section, body) in [
      (Section.gatewayCertificate, gatewayCertificate), (.enrolmentCertificate, enrolmentCertificate),
      (.agentIdentity, Array(agentIdentity.utf8)), (.agentStatement, Array(agentStatement.utf8)), (.receipt, receipt),
      (.manifests, manifests)
    ] { append(section, body, to: &bytes) }
    let point = try sign(Hex.encode(SHA256.hash(data: bytes)))
    append(.point, Array(point.utf8), to: &bytes)
    return bytes
  }

  private static func append(_ section: Section, _ body: [UInt8], to bytes: inout [UInt8]) {
    bytes.append(section.rawValue)
    let length = UInt64(body.count)
    for shift in stride(from: 0 as UInt64, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
    bytes += body
  }

  /// Keys sorted, slashes not escaped, no white space.
  static func encode(_ receipt: SealReceipt) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(receipt))
  }

  /// Takes a file apart.
  /// - Throws: `EvidenceFailure` where it is not of this form.
  public init(parsing bytes: [UInt8]) throws(EvidenceFailure) {
    guard bytes.starts(with: Self.magic) else { throw .malformed("it does not begin as an evidence file does") }
    var place = Self.magic.count
    var bodies: [[UInt8]] = []
    var start = 0
    for section in Section.allCases {
      start = place
      guard bytes.count - place >= 9, bytes[place] == section.rawValue else {
        throw .malformed("section \(section.rawValue) is missing at byte \(place)")
      }
      let length = bytes[place + 1..<place + 9].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      guard length <= UInt64(bytes.count - place - 9) else {
        throw .malformed("section \(section.rawValue) is longer than the file")
      }
      place += 9 + Int(length)
      bodies.append(Array(bytes[place - Int(length)..<place]))
    }
    guard place == bytes.count else { throw .malformed("\(bytes.count - place) bytes follow after the last section") }
    content = Hex.encode(SHA256.hash(data: bytes[..<start]))
    (gatewayCertificate, enrolmentCertificate, receipt, manifests) = (bodies[0], bodies[1], bodies[4], bodies[5])
    var texts: [String] = []
    for index in [2, 3, 6] {
      guard let text = String(validating: bodies[index], as: UTF8.self) else {
        throw .malformed("a signed statement in it is not text")
      }
      texts.append(text)
    }
    (agentIdentity, agentStatement, point) = (texts[0], texts[1], texts[2])
  }
}

/// Why evidence does not hold. The set is closed.
public struct EvidenceFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Codable, Hashable, Sendable {
    /// Not an evidence file, or cut, or with something added.
    case malformed
    /// A key in it is not certified by the CA that the checker gave.
    case untrustedKey = "untrusted_key"
    /// A signature does not fit, or signed things contradict each other.
    case notSigned = "not_signed"
    case contradiction
    /// The manifests that the agent signed do not add up to what the gateway says it read.
    case wrongRoot = "wrong_root"
    /// A volume holds something else than the evidence says, or cannot be read.
    case volumeDiffers = "volume_differs"
    case volumeUnreadable = "volume_unreadable"
  }
  public var code: Code
  public var description: String
  public init(_ code: Code, _ description: String) { (self.code, self.description) = (code, description) }
  static func malformed(_ why: String) -> EvidenceFailure {
    EvidenceFailure(.malformed, "The file is no intact evidence file: \(why).")
  }
}
