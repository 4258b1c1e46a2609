/// What a certificate of the platform's CA says its Ed25519 key may sign, as the one URI among its alternative names.
public enum SignerRole: String, Hashable, Sendable, CaseIterable {
  /// Seals: what was read back from volumes.
  case gateway = "urn:godwit:signer:gateway"
  /// Which key is the agent of which source, and which point an evidence file is of.
  case enrolment = "urn:godwit:signer:enrolment"
}

/// The service's word that a key is the agent of a source: signed with the enrolment key.
public struct AgentIdentityClaims: Codable, Hashable, Sendable {
  public static let type = "godwit-agent-identity+jwt"
  public var tenant: String
  public var source: String
  /// The machine's name when it was enrolled.
  public var name: String
  /// 32 bytes, base64url.
  public var key: String
  /// Seconds since 1970.
  public var enrolledAt: Int
  public init(tenant: String, source: String, name: String, key: String, enrolledAt: Int) {
    (self.tenant, self.source, self.name, self.key, self.enrolledAt) = (tenant, source, name, key, enrolledAt)
  }
}

/// The service's word what an evidence file is of, over all that stands before it: signed with the enrolment key.
public struct PointClaims: Codable, Hashable, Sendable {
  public static let type = "godwit-point+jwt"
  public struct Disk: Codable, Hashable, Sendable {
    /// Kernel name at the source.
    public var name: String
    /// Bytes.
    public var size: UInt64
    /// The replica, and the snapshot that keeps the point.
    public var volume: String
    public var snapshot: String
    public init(name: String, size: UInt64, volume: String, snapshot: String) {
      (self.name, self.size, self.volume, self.snapshot) = (name, size, volume, snapshot)
    }
  }
  /// SHA-256 of every byte of the file before the section that holds this, 64 hex digits.
  public var content: String
  public var tenant: String
  public var source: String
  public var migration: String
  public var point: String
  public var session: String
  public var final: Bool
  public var disks: [Disk]
  /// Seconds since 1970, by the service's clock.
  public var createdAt: Int
  public init(
    content: String, tenant: String, source: String, migration: String, point: String, session: String, final: Bool,
    disks: [Disk], createdAt: Int
  ) {
    (self.content, self.tenant, self.source, self.migration) = (content, tenant, source, migration)
    (self.point, self.session, self.final) = (point, session, final)
    (self.disks, self.createdAt) = (disks, createdAt)
  }
}
