import FoundationEssentials
import Replication
public import Wire
import X509

/// Checks an evidence file without anything of ours: only the file, and the CA that the checker brings.
///
/// What each step proves, and what it does not, stands in docs/adr/0004.
public struct EvidenceCheck: Sendable {
  /// PEM of the CA's certificate, from outside of the file.
  public var authority: String

  public init(authority: String) { self.authority = authority }

  /// Evidence that holds.
  public struct Checked: Sendable {
    public var point: PointClaims
    public var agent: AgentIdentityClaims
    public var statement: AgentStatement
    public var receipt: SealReceipt
    /// What every leaf held at the seal, as the agent signed it and the gateway read it back.
    public var picture: LeafPicture
  }

  /// - Parameter bytes: the whole file.
  public func check(_ bytes: [UInt8]) throws(EvidenceFailure) -> Checked {
    let file = try EvidenceFile(parsing: bytes)
    let authority = try SignerCertificate.authority(pem: authority)
    let receipt = try receipt(file)
    let service = try SignerCertificate(
      der: file.enrolmentCertificate, role: .enrolment, authority: authority, time: receipt.sealedAt)
    let gateway = try SignerCertificate(
      der: file.gatewayCertificate, role: .gateway, authority: authority, time: receipt.sealedAt)
    let point = try claims(PointClaims.self, PointClaims.type, file.point, service.publicKey, "service's statement")
    guard point.content == file.content else {
      throw EvidenceFailure(.notSigned, "The file was changed after the service signed it.")
    }
    let agent = try claims(
      AgentIdentityClaims.self, AgentIdentityClaims.type, file.agentIdentity, service.publicKey, "agent's identity")
    guard receipt.isSigned(by: gateway.publicKey) else {
      throw EvidenceFailure(.notSigned, "The receipt was not signed by the gateway's key that the CA certifies.")
    }
    guard let agentKey = Base64URL.decode(agent.key) else {
      throw EvidenceFailure(.malformed, "The agent's key cannot be read.")
    }
    let statement = try claims(
      AgentStatement.self, AgentStatement.type, file.agentStatement, agentKey, "agent's statement")
    try agree(point, agent, statement, receipt)
    let history: ManifestHistory
    do throws(ManifestHistory.Malformed) { history = try ManifestHistory(decoding: file.manifests) } catch {
      throw .malformed("\(error)")
    }
    let picture = try picture(history, statement, receipt, agentKey)
    return Checked(point: point, agent: agent, statement: statement, receipt: receipt, picture: picture)
  }

  private func receipt(_ file: EvidenceFile) throws(EvidenceFailure) -> SealReceipt {
    guard let receipt = try? JSONDecoder().decode(SealReceipt.self, from: Data(file.receipt)),
      let canonical = try? EvidenceFile.encode(receipt), canonical == file.receipt
    else { throw .malformed("the receipt is not canonical JSON") }
    return receipt
  }

  private func claims<Claims: Decodable>(
    _ type: Claims.Type, _ typ: String, _ token: String, _ key: [UInt8], _ what: String
  ) throws(EvidenceFailure) -> Claims {
    do { return try CompactJWS.verify(token, publicKey: key, as: type, typ: typ) } catch {
      throw EvidenceFailure(.notSigned, "The \(what) does not hold: \(error).")
    }
  }

  /// All speak of the same point.
  private func agree(
    _ point: PointClaims, _ agent: AgentIdentityClaims, _ statement: AgentStatement, _ receipt: SealReceipt
  ) throws(EvidenceFailure) {
    let facts: [(Bool, String)] = [
      (point.session == receipt.session && point.session == statement.session, "the session"),
      (point.migration == receipt.migration && point.migration == statement.migration, "the migration"),
      (point.tenant == agent.tenant && point.source == agent.source, "the source"),
      (point.final == statement.final, "whether the source was switched off"),
      (statement.chain == receipt.chain, "the manifest's chain"),
      (statement.consistency == receipt.consistency, "the consistency of the filesystems"),
      (point.disks.map(\.volume) == receipt.disks.map(\.volume), "the volumes"),
      (point.disks.map(\.name) == statement.disks.map(\.name), "the disks"),
      (point.disks.map(\.size) == statement.disks.map(\.size), "the disks' sizes")
    ]
    if let broken = facts.first(where: { !$0.0 }) {
      throw EvidenceFailure(.contradiction, "The signed statements contradict each other about \(broken.1).")
    }
  }

  // MARK: Manifests

  /// What every leaf holds by the agent's word; it must be what the gateway read.
  private func picture(
    _ history: ManifestHistory, _ statement: AgentStatement, _ receipt: SealReceipt, _ key: [UInt8]
  ) throws(EvidenceFailure) -> LeafPicture {
    guard let last = history.manifests.last, last.session == receipt.session, last.chain.hex == receipt.chain,
      last.signature == receipt.agentSignature
    else {
      throw EvidenceFailure(.contradiction, "The last manifest in the file is not the one that the gateway sealed.")
    }
    var picture = LeafPicture(counts: statement.disks.map { Int(Leaf.count(bytes: $0.size)) })
    var sealed: String?
    for manifest in history.manifests {
      let trusted = try trustedParts(of: manifest, after: sealed, statement, key)
      for part in trusted { picture.add(part) }
      if !manifest.signature.isEmpty { sealed = manifest.chain.hex }
    }
    for (index, disk) in receipt.disks.enumerated() {
      guard picture.root(disk: index) == disk.root, picture.count(of: .data, disk: index) == disk.dataLeaves,
        picture.count(of: .zero, disk: index) == disk.zeroLeaves
      else {
        throw EvidenceFailure(
          .wrongRoot,
          "What the agent signed of disk \(statement.disks[index].name) does not add up to what the gateway read back.")
      }
    }
    return picture
  }

  /// The parts of a manifest that the agent stands for.
  private func trustedParts(
    of manifest: ManifestHistory.Manifest, after sealed: String?, _ statement: AgentStatement, _ key: [UInt8]
  ) throws(EvidenceFailure) -> ArraySlice<[UInt8]> {
    if let sealed, manifest.previous != sealed {
      throw EvidenceFailure(
        .contradiction, "The manifest of session \(manifest.session) does not follow on the one before it.")
    }
    if manifest.signature.isEmpty {
      let own = statement.carried.filter { $0.session == manifest.session }.last {
        manifest.chain(parts: Int(clamping: $0.parts))?.hex == $0.chain
      }
      // What the agent does not stand for counts for nothing: the root shows whether it is missed.
      return manifest.parts.prefix(own.map { Int(clamping: $0.parts) } ?? 0)
    }
    guard manifest.chain.isSigned(manifest.signature, by: key) else {
      throw EvidenceFailure(.notSigned, "The manifest of session \(manifest.session) is not signed by the agent.")
    }
    return manifest.parts[...]
  }
}
