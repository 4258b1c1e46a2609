public import Machines

/// What the migration service and its users say to each other. JSON under `/v1/tenants/{tenant}`; instants are seconds
/// since 1970. Lists are newest first: `?limit=` (at most 200) and `?after=ID` of the last element seen.
public enum MigrationAPI {
  public struct Page<Item: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    public var items: [Item]
    /// Give it as `after` to go on; nil at the end.
    public var next: String?
    public init(items: [Item], next: String?) { (self.items, self.next) = (items, next) }
  }

  /// `POST /enrolment-tokens`: shown once.
  public struct EnrolmentToken: Codable, Hashable, Sendable {
    public var token: String
    public var expiresAt: Int
    /// To be pasted into a root shell of the source.
    public var command: String
    public init(token: String, expiresAt: Int, command: String) {
      (self.token, self.expiresAt, self.command) = (token, expiresAt, command)
    }
  }

  public struct Source: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    public var machine: MachineDescription
    public var agentVersion: String
    /// Thumbprint of the agent's key.
    public var identity: String
    public var enrolledAt: Int
    public var lastSeenAt: Int
    /// Seen within the last two minutes.
    public var online: Bool
    /// Set when two machines use one identity; both are refused until it is cleared.
    public var problem: Problem?
    public init(
      id: String, name: String, machine: MachineDescription, agentVersion: String, identity: String, enrolledAt: Int,
      lastSeenAt: Int, online: Bool, problem: Problem?
    ) {
      (self.id, self.name, self.machine, self.agentVersion) = (id, name, machine, agentVersion)
      (self.identity, self.enrolledAt, self.lastSeenAt) = (identity, enrolledAt, lastSeenAt)
      (self.online, self.problem) = (online, problem)
    }
  }

  public enum State: String, Codable, Hashable, Sendable {
    case connecting, copying, insync, testing, ready, switching, done, attention
  }

  /// `POST /migrations`
  public struct MigrationWish: Codable, Hashable, Sendable {
    public var name: String
    public var source: String
    public var target: String
    /// Seconds from the end of one sync to the begin of the next; nil: only when asked.
    public var schedule: Int?
    /// Points kept; at least 1.
    public var retention: Int?
    public var limits: SyncCommand.Limits?
    /// Kernel names of the disks to replicate, the one to boot from first; nil: all.
    public var disks: [String]?
    /// Chosen by the caller: the same request with the same key again answers with what the first one made.
    public var key: String?
    /// Bytes of each disk that every scheduled sync scrubs; nil: only when asked.
    public var scrub: UInt64?
    public init(
      name: String, source: String, target: String, schedule: Int? = nil, retention: Int? = nil,
      limits: SyncCommand.Limits? = nil, disks: [String]? = nil, key: String? = nil, scrub: UInt64? = nil
    ) {
      self.scrub = scrub
      (self.name, self.source, self.target, self.schedule) = (name, source, target, schedule)
      (self.retention, self.limits, self.disks, self.key) = (retention, limits, disks, key)
    }
  }

  /// `PATCH /migrations/{id}`: what is nil stays.
  public struct MigrationChange: Codable, Hashable, Sendable {
    public var name: String?
    public var schedule: Int?
    public var retention: Int?
    public var limits: SyncCommand.Limits?
    public var paused: Bool?
    /// 0: only when asked.
    public var scrub: UInt64?
    public init(
      name: String? = nil, schedule: Int? = nil, retention: Int? = nil, limits: SyncCommand.Limits? = nil,
      paused: Bool? = nil, scrub: UInt64? = nil
    ) {
      self.scrub = scrub
      (self.name, self.schedule, self.retention) = (name, schedule, retention)
      (self.limits, self.paused) = (limits, paused)
    }
  }

  public struct Migration: Codable, Hashable, Sendable {
    public struct Disk: Codable, Hashable, Sendable {
      /// Kernel name at the source.
      public var name: String
      /// Bytes.
      public var size: UInt64
      /// The replica at the clouds service.
      public var volume: String
      /// What tells it from the source's other disks, as it was when the migration was created.
      public var identity: String?
      public init(name: String, size: UInt64, volume: String, identity: String? = nil) {
        (self.name, self.size, self.volume, self.identity) = (name, size, volume, identity)
      }
    }
    public var id: String
    public var name: String
    public var source: String
    public var target: String
    public var state: State
    public var paused: Bool
    /// What stands in the way, with its remedy; the last point stays good.
    public var problem: Problem?
    public var schedule: Int?
    public var retention: Int
    public var limits: SyncCommand.Limits
    public var disks: [Disk]
    public var createdAt: Int
    /// When the last point was taken; nil before the first.
    public var lastPointAt: Int?
    public var nextSyncAt: Int?
    /// The sync that runs now.
    public var activeSync: String?
    /// Set from the successful start of the target on until it is rolled back.
    public var switchedAt: Int?
    /// The machine on the target after a switch.
    public var switchLaunch: String?
    /// What a rollback means for the data, once one was asked for.
    public var rollbackStatement: String?
    /// nil before anything was scrubbed or found.
    public var scrub: Scrub?
    public init(
      id: String, name: String, source: String, target: String, state: State, paused: Bool, problem: Problem?,
      schedule: Int?, retention: Int, limits: SyncCommand.Limits, disks: [Disk], createdAt: Int, lastPointAt: Int?,
      nextSyncAt: Int?, activeSync: String?, switchedAt: Int?, switchLaunch: String?, rollbackStatement: String?,
      scrub: Scrub? = nil
    ) {
      self.scrub = scrub
      (self.id, self.name, self.source, self.target) = (id, name, source, target)
      (self.state, self.paused, self.problem, self.schedule) = (state, paused, problem, schedule)
      (self.retention, self.limits, self.disks, self.createdAt) = (retention, limits, disks, createdAt)
      (self.lastPointAt, self.nextSyncAt, self.activeSync) = (lastPointAt, nextSyncAt, activeSync)
      (self.switchedAt, self.switchLaunch) = (switchedAt, switchLaunch)
      self.rollbackStatement = rollbackStatement
    }
  }

  /// `POST /migrations/{id}/syncs`; nil: `full` before the first point, else `delta`.
  public struct SyncWish: Codable, Hashable, Sendable {
    public var mode: SyncCommand.Mode?
    /// What to read again at both ends though it did not change.
    public var scrub: ScrubWindow?
    public init(mode: SyncCommand.Mode? = nil, scrub: ScrubWindow? = nil) { (self.mode, self.scrub) = (mode, scrub) }
  }

  public struct Sync: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
      /// Volumes are made ready; the agent copies; the gateway vouched; snapshots are taken; over.
      case preparing, running, sealed, done, failed, cancelled
    }
    public var id: String
    public var migration: String
    public var mode: SyncCommand.Mode
    public var final: Bool
    public var state: State
    public var progress: SyncProgress?
    public var problem: Problem?
    public var createdAt: Int
    public var endedAt: Int?
    public init(
      id: String, migration: String, mode: SyncCommand.Mode, final: Bool, state: State, progress: SyncProgress?,
      problem: Problem?, createdAt: Int, endedAt: Int?
    ) {
      (self.id, self.migration, self.mode, self.final) = (id, migration, mode, final)
      (self.state, self.progress, self.problem) = (state, progress, problem)
      (self.createdAt, self.endedAt) = (createdAt, endedAt)
    }
  }

  public struct Point: Codable, Hashable, Sendable {
    public var id: String
    public var migration: String
    public var sync: String
    public var final: Bool
    /// Snapshots in the order of the migration's disks.
    public var snapshots: [String]
    /// What the gateway vouches for: digests, consistency levels, signatures.
    public var receipt: SealReceipt
    public var createdAt: Int
    /// Whether `GET /points/{id}/evidence` has something.
    public var hasEvidence: Bool?
    public var check: PointCheck?
    public init(
      id: String, migration: String, sync: String, final: Bool, snapshots: [String], receipt: SealReceipt,
      createdAt: Int, hasEvidence: Bool? = nil, check: PointCheck? = nil
    ) {
      (self.hasEvidence, self.check) = (hasEvidence, check)
      (self.id, self.migration, self.sync, self.final) = (id, migration, sync, final)
      (self.snapshots, self.receipt, self.createdAt) = (snapshots, receipt, createdAt)
    }
  }

  public struct Event: Codable, Hashable, Sendable {
    public var id: String
    public var at: Int
    public var migration: String?
    public var source: String?
    /// A stable word: `point_recorded`, `split_brain`, ...
    public var code: String
    public var message: String
    public init(id: String, at: Int, migration: String?, source: String?, code: String, message: String) {
      (self.id, self.at, self.migration, self.source) = (id, at, migration, source)
      (self.code, self.message) = (code, message)
    }
  }
}
