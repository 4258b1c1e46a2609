/// What a gateway found when it re-read a point, signed with its key as a JWS of type `PointVerification.type`.
public struct PointVerification: Codable, Hashable, Sendable {
  public static let type = "godwit-verification+jwt"

  public struct Disk: Codable, Hashable, Sendable {
    public var volume: String
    /// The root of the leaf map that the leaves were compared with: that of the point's receipt.
    public var root: String
    /// Leaves compared; left out because nothing uses them; holding something else.
    public var compared: UInt64
    public var free: UInt64
    public var differing: UInt64
    /// The first of those that differ.
    public var first: [UInt64]
    public init(volume: String, root: String, compared: UInt64, free: UInt64, differing: UInt64, first: [UInt64]) {
      (self.volume, self.root, self.compared) = (volume, root, compared)
      (self.free, self.differing, self.first) = (free, differing, first)
    }
  }
  public var migration: String
  public var session: String
  public var disks: [Disk]
  /// Seconds since 1970, by the gateway's clock.
  public var startedAt: Int
  public var endedAt: Int
  public init(migration: String, session: String, disks: [Disk], startedAt: Int, endedAt: Int) {
    (self.migration, self.session, self.disks) = (migration, session, disks)
    (self.startedAt, self.endedAt) = (startedAt, endedAt)
  }

  public var differing: UInt64 { disks.reduce(0) { $0 + $1.differing } }
  public var compared: UInt64 { disks.reduce(0) { $0 + $1.compared } }
}

/// `POST /v1/points/{session}/verify?run=ID`: 202 while it reads, else 200. The same run again is the same reading.
public struct VerifyAnswer: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case reading, done, failed }
  public var state: State
  /// Leaves read so far and in all.
  public var read: UInt64
  public var total: UInt64
  /// A signed `PointVerification`.
  public var verification: String?
  public var problem: Problem?
  public init(
    state: State, read: UInt64, total: UInt64, verification: String? = nil, problem: Problem? = nil
  ) {
    (self.state, self.read, self.total) = (state, read, total)
    (self.verification, self.problem) = (verification, problem)
  }
}
