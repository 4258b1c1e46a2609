import Evidence
import ServiceKit
import Wire

/// Puts together what proves a point (docs/adr/0004).
extension Orchestrator {
  /// The evidence file.
  /// - Throws: `Problem` 409 `no_evidence`; what the gateway refuses.
  func evidence(of point: PointRow) async throws -> [UInt8] {
    guard let certificate = configuration.enrolmentCertificate.flatMap(CertificateAuthority.der(pem:)),
      let statement = point.statement, let gateway = point.gateway,
      let gatewayCertificate = gateway.certificate.flatMap(CertificateAuthority.der(pem:))
    else {
      throw Problem(
        code: "no_evidence", status: 409,
        detail: "The point \(point.id) was made without a certified gateway, or by an agent that signs no statements.",
        remedy: "Start the platform with its CA, upgrade the agent, and run a sync in mode compare.")
    }
    guard let migration = try await database.find(MigrationRow.self, point.tenant, point.migration),
      let source = try await database.find(SourceRow.self, point.tenant, migration.source)
    else { throw Problem.notFound("migration \(point.migration)") }
    let disks = migration.disks.map { SessionGrant.Disk(volume: $0.volume, location: "", size: $0.size) }
    let manifests = try await GatewayPoints(
      gateway, tenant: point.tenant, migration: migration.id, session: point.sync, disks: disks,
      key: configuration.key, now: now()
    ).manifests()
    let identity = AgentIdentityClaims(
      tenant: source.tenant, source: source.id, name: source.name, key: source.publicKey,
      enrolledAt: source.enrolledAt)
    let key = configuration.key
    return try EvidenceFile.make(
      gatewayCertificate: gatewayCertificate, enrolmentCertificate: certificate,
      agentIdentity: try CompactJWS.sign(identity, header: .init(typ: AgentIdentityClaims.type), with: key),
      agentStatement: statement, receipt: point.receipt, manifests: manifests
    ) { content in
      let claims = PointClaims(
        content: content, tenant: point.tenant, source: source.id, migration: migration.id, point: point.id,
        session: point.sync, final: point.final,
        disks: zip(migration.disks, point.snapshots).map {
          .init(name: $0.name, size: $0.size, volume: $0.volume, snapshot: $1)
        }, createdAt: point.createdAt)
      return try CompactJWS.sign(claims, header: .init(typ: PointClaims.type), with: key)
    }
  }
}
