extension MigrationAPI {
  /// What scrubs found, and how far they are. Instants are seconds since 1970.
  public struct Scrub: Codable, Hashable, Sendable {
    /// Bytes of each disk that every scheduled sync scrubs; nil: only when asked.
    public var budget: UInt64?
    /// Where the next one begins, in bytes of each disk.
    public var cursor: UInt64
    /// When the disks had last been looked at to their end.
    public var completedAt: Int?
    /// Leaves found to differ, in all; and those that no point has mended yet: while there are any, nothing is switched.
    public var found: UInt64
    public var open: UInt64
    /// A point was found damaged: only a sync that reads everything back mends it.
    public var needsAll: Bool
    public init(
      budget: UInt64? = nil, cursor: UInt64 = 0, completedAt: Int? = nil, found: UInt64 = 0, open: UInt64 = 0,
      needsAll: Bool = false
    ) {
      (self.budget, self.cursor, self.completedAt) = (budget, cursor, completedAt)
      (self.found, self.open, self.needsAll) = (found, open, needsAll)
    }
  }

  /// The last re-reading of a point: `POST /points/{id}/verify`.
  public struct PointCheck: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
      case reading
      /// Every leaf is what the agent signed and the gateway sealed; or some are not.
      case passed, differs
      /// It could not be read; `problem` says why.
      case failed
    }
    /// Names this reading.
    public var run: String
    public var state: State
    public var compared: UInt64
    public var differing: UInt64
    public var startedAt: Int
    public var endedAt: Int?
    /// What the gateway signed: a `PointVerification`.
    public var verification: String?
    public var problem: Problem?
    public init(
      run: String, state: State, compared: UInt64 = 0, differing: UInt64 = 0, startedAt: Int, endedAt: Int? = nil,
      verification: String? = nil, problem: Problem? = nil
    ) {
      (self.run, self.state, self.compared, self.differing) = (run, state, compared, differing)
      (self.startedAt, self.endedAt) = (startedAt, endedAt)
      (self.verification, self.problem) = (verification, problem)
    }
  }
}
