import Crypto
import Evidence
import Foundation
import Replication
import ServiceKit
import Wire

/// A platform of keys, and the evidence of a point of one small disk: a full sync, a session that was not sealed, and a
/// delta. Every part can be made wrong before the file is put together.
struct EvidenceFixture {
  static let size: UInt64 = 4 * Leaf.size + 5000

  let authority: CertificateAuthority
  let gateway = AgentKey()
  let service = AgentKey()
  let agent = AgentKey()
  var manifests: [ManifestHistory.Manifest] = []
  var statement: AgentStatement
  var receipt: SealReceipt
  var point: PointClaims
  /// What the leaves hold at the point.
  var picture: LeafPicture

  init(folder: String) throws {
    authority = try CertificateAuthority.open(folder: folder)
    let count = Int(Leaf.count(bytes: Self.size))
    let full = Self.part([(0, 1), (1, 2), (4, 3)], free: [2])
    let unsealed = Self.part([(1, 4)], free: [])
    let delta = Self.part([(0, 5)], free: [])
    var first = ManifestHistory.Manifest(session: "s1", previous: "", signature: "", parts: [full])
    first.signature = try first.chain.sign(with: agent)
    // Its last part came to the gateway, but the agent never heard that it did.
    let second = ManifestHistory.Manifest(
      session: "s2", previous: first.chain.hex, signature: "", parts: [unsealed, Self.part([(3, 9)], free: [])])
    var third = ManifestHistory.Manifest(session: "s3", previous: first.chain.hex, signature: "", parts: [delta])
    third.signature = try third.chain.sign(with: agent)
    manifests = [first, second, third]
    picture = LeafPicture(counts: [count])
    for part in [full, unsealed, delta] { picture.add(part) }
    let consistency = ["sda1": "filesystem"]
    statement = AgentStatement(
      agentVersion: "1", migration: "m", session: "s3", chain: third.chain.hex, asked: .delta, mode: .delta,
      voided: nil, final: false, disks: [.init(name: "sda", size: Self.size)], consistency: consistency,
      tracking: [.init(disk: "sda", rung: "tp_btf", kernelSectors: 8, seenSectors: 8)],
      carried: [.init(session: "s2", parts: 1, chain: second.chain(parts: 1)?.hex ?? "")], startedAt: 1, signedAt: 2,
      freezeMilliseconds: 3, usedBytes: 4, sentBytes: 5)
    receipt = SealReceipt(
      session: "s3", migration: "m", chain: third.chain.hex, agentSignature: third.signature,
      consistency: consistency,
      disks: [
        .init(volume: "v", root: picture.root(disk: 0), dataLeaves: 3, zeroLeaves: 1, freeLeaves: 1)
      ], sealedAt: Int(Date().timeIntervalSince1970), readBackLeaves: 1, readBackSeconds: 0.125, gatewayKey: "",
      gatewaySignature: "")
    point = PointClaims(
      content: "", tenant: "t", source: "src", migration: "m", point: "p", session: "s3", final: false,
      disks: [.init(name: "sda", size: Self.size, volume: "v", snapshot: "snap")], createdAt: 7)
  }

  /// Leaf 3 is zeros; every other leaf holds bytes made of its seed.
  static func part(_ leaves: [(leaf: UInt64, seed: UInt8)], free: [UInt64]) -> [UInt8] {
    var records = leaves.map { leaf, seed in
      LeafRecord(disk: 0, leaf: leaf, kind: .data, digest: digest(leaf, seed))
    }
    records += free.map { LeafRecord(disk: 0, leaf: $0, kind: .free) }
    if !free.isEmpty { records.append(LeafRecord(disk: 0, leaf: 3, kind: .zero)) }
    return LeafRecord.encode(records)
  }

  static func bytes(_ leaf: UInt64, _ seed: UInt8) -> [UInt8] {
    Array(repeating: seed, count: Leaf.range(leaf, bytes: size).count)
  }

  private static func digest(_ leaf: UInt64, _ seed: UInt8) -> LeafDigest {
    LeafDigest(bytes: Array(SHA256.hash(data: bytes(leaf, seed)))) ?? .none
  }

  /// What the volume holds at the point; the free leaf holds anything.
  static var volume: [UInt8] {
    bytes(0, 5) + bytes(1, 4) + bytes(2, 77) + Array(repeating: 0, count: Int(Leaf.size)) + bytes(4, 3)
  }

  /// The file; `forger` replaces every key and the CA.
  func file(forger: EvidenceFixture? = nil) throws -> [UInt8] {
    let keys = forger ?? self
    let identity = AgentIdentityClaims(
      tenant: "t", source: "src", name: "web", key: Base64URL.encode(keys.agent.publicKey), enrolledAt: 1)
    func der(_ role: SignerRole, _ key: AgentKey) throws -> [UInt8] {
      CertificateAuthority.der(pem: try keys.authority.signer(role, publicKey: key.publicKey)) ?? []
    }
    return try EvidenceFile.make(
      gatewayCertificate: der(.gateway, keys.gateway), enrolmentCertificate: der(.enrolment, keys.service),
      agentIdentity: CompactJWS.sign(identity, header: .init(typ: AgentIdentityClaims.type), with: keys.service),
      agentStatement: CompactJWS.sign(statement, header: .init(typ: AgentStatement.type), with: keys.agent),
      receipt: receipt.signed(by: keys.gateway), manifests: ManifestHistory(manifests: manifests).encode()
    ) { content in
      var point = point
      point.content = content
      return try CompactJWS.sign(point, header: .init(typ: PointClaims.type), with: keys.service)
    }
  }

  var check: EvidenceCheck { EvidenceCheck(authority: authority.certificatePEM) }

  /// The code that a file is refused with; nil where it holds.
  func refusal(of file: [UInt8]) -> EvidenceFailure.Code? {
    do throws(EvidenceFailure) {
      _ = try check.check(file)
      return nil
    } catch { return error.code }
  }
}
