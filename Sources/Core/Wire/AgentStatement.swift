/// What an agent says of a sync that was sealed, signed with its key as a JWS of type `AgentStatement.type`: how the
/// point came to be. What the leaves hold is said by the manifest, whose chain it names.
public struct AgentStatement: Codable, Hashable, Sendable {
  public static let type = "godwit-statement+jwt"

  public struct Disk: Codable, Hashable, Sendable {
    /// Kernel name.
    public var name: String
    /// Bytes.
    public var size: UInt64
    public init(name: String, size: UInt64) { (self.name, self.size) = (name, size) }
  }

  /// How writes were seen, and what was counted when the statement was made.
  public struct Tracking: Codable, Hashable, Sendable {
    public var disk: String
    /// `tp_btf`, `tracepoint` or `blktrace`.
    public var rung: String
    /// Sectors that the kernel counted as written since tracking began, and those that the tracker saw. The tracker may
    /// be ahead while writes end; it is void when it is behind.
    public var kernelSectors: UInt64
    public var seenSectors: UInt64
    public init(disk: String, rung: String, kernelSectors: UInt64, seenSectors: UInt64) {
      (self.disk, self.rung) = (disk, rung)
      (self.kernelSectors, self.seenSectors) = (kernelSectors, seenSectors)
    }
  }

  /// A session that ended without a seal: what it settled stands, and its chain so far is the agent's.
  public struct Carried: Codable, Hashable, Sendable {
    public var session: String
    public var parts: UInt64
    public var chain: String
    public init(session: String, parts: UInt64, chain: String) {
      (self.session, self.parts, self.chain) = (session, parts, chain)
    }
  }

  public var agentVersion: String
  public var migration: String
  public var session: String
  /// As in the seal.
  public var chain: String
  /// What was asked, what it became, and why.
  public var asked: SyncCommand.Mode
  public var mode: SyncCommand.Mode
  public var voided: String?
  public var final: Bool
  public var disks: [Disk]
  public var consistency: [String: String]
  /// Empty where nothing tracks the disks.
  public var tracking: [Tracking]
  /// Sessions since the last walk of everything in use that ended without a seal, oldest first.
  public var carried: [Carried]
  /// Seconds since 1970 by the source's clock: begin of the sync, and when this was signed.
  public var startedAt: Int
  public var signedAt: Int
  public var freezeMilliseconds: Double?
  public var usedBytes: UInt64
  public var sentBytes: UInt64

  public init(
    agentVersion: String, migration: String, session: String, chain: String, asked: SyncCommand.Mode,
    mode: SyncCommand.Mode, voided: String?, final: Bool, disks: [Disk], consistency: [String: String],
    tracking: [Tracking], carried: [Carried], startedAt: Int, signedAt: Int, freezeMilliseconds: Double?,
    usedBytes: UInt64, sentBytes: UInt64
  ) {
    (self.agentVersion, self.migration, self.session) = (agentVersion, migration, session)
    (self.chain, self.asked, self.mode, self.voided) = (chain, asked, mode, voided)
    (self.final, self.disks, self.consistency) = (final, disks, consistency)
    (self.tracking, self.carried) = (tracking, carried)
    (self.startedAt, self.signedAt, self.freezeMilliseconds) = (startedAt, signedAt, freezeMilliseconds)
    (self.usedBytes, self.sentBytes) = (usedBytes, sentBytes)
  }
}
