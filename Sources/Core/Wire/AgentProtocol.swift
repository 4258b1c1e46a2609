public import Machines

/// What an agent and the migration service say to each other. JSON over HTTPS; every request but the first is signed
/// (`KeyProof`). The agent asks; the service never calls.

/// `POST /v1/enrolments`: exchanges a single-use token for an identity. Signed with the new key.
public struct EnrolmentRequest: Codable, Hashable, Sendable {
  public var token: String
  public var agentVersion: String
  public var machine: MachineDescription
  public init(token: String, agentVersion: String, machine: MachineDescription) {
    (self.token, self.agentVersion, self.machine) = (token, agentVersion, machine)
  }
}

/// The answer to an enrolment and to `POST /v1/agent/token` (a renewal, signed with the agent's key).
public struct AgentCredential: Codable, Hashable, Sendable {
  public var tenant: String
  public var source: String
  /// Bound to the agent's key; sent as `Authorization: DPoP TOKEN`.
  public var accessToken: String
  /// Seconds.
  public var expiresIn: Int
  public init(tenant: String, source: String, accessToken: String, expiresIn: Int) {
    (self.tenant, self.source, self.accessToken, self.expiresIn) = (tenant, source, accessToken, expiresIn)
  }
}

/// `GET /v1/agent/commands?wait=SECONDS&instance=RANDOM`: the commands not yet reported as ended, oldest first, answered
/// as soon as there is one the agent does not know, else an empty list when the wait is over. The set is closed; an agent
/// answers `.refused` to one it does not know. `instance` is chosen by each start of the agent's process: a service that
/// sees an older one come back knows that two machines use one identity, and refuses (`409 identity_twice`).
public struct AgentCommand: Codable, Hashable, Sendable {
  public enum Body: Codable, Hashable, Sendable {
    case sync(SyncCommand)
    /// Stops a running sync at the next frame; what was settled stays. Once the seal of a final sync was requested only
    /// a cancel with a `conclusion` ends it: what the gateway has told the service for certain.
    case cancel(command: String, conclusion: Conclusion? = nil)
    /// Runs the repair planner read-only and reports its verdict.
    case rehearse
    /// Describes the machine again.
    case describe
    /// Removes the agent from the machine.
    case uninstall
  }
  /// How the gateway has decided the session of a final sync.
  public enum Conclusion: String, Codable, Hashable, Sendable {
    /// It is sealed: the source powers off.
    case sealed
    /// It is not sealed and can never be: the source thaws and goes on.
    case retired
  }
  public var id: String
  public var body: Body
  public init(id: String, body: Body) { (self.id, self.body) = (id, body) }
}

public struct SyncCommand: Codable, Hashable, Sendable {
  public enum Mode: String, Codable, Hashable, Sendable {
    /// Everything in use.
    case full
    /// What changed since the last point; becomes `compare` by itself where that cannot be proven.
    case delta
    /// Re-hash what is in use, send differences.
    case compare
  }
  public var migration: String
  public var session: String
  public var mode: Mode
  /// Freeze, stream while frozen, commit, then power the source off without thawing.
  public var final: Bool
  /// `https://HOST:PORT` of the gateway.
  public var gateway: String
  /// `SessionGrant` as a signed token.
  public var grant: String
  /// Kernel names, in the order of the grant's disks: `sda`.
  public var disks: [String]
  /// `MachineDescription.Disk.identity` of each of `disks`, empty where it has none: the agent takes the disks that bear
  /// them, whatever their names are now, and refuses with `disk_changed` where one does not. Nil: by name alone.
  public var identities: [String]?
  public var limits: Limits
  /// As in the grant.
  public var scrub: ScrubWindow?

  /// The budgets of the source; nil means no limit.
  public struct Limits: Codable, Hashable, Sendable {
    /// Bytes a second on the link.
    public var link: UInt64?
    /// Bytes a second read from the disks.
    public var read: UInt64?
    /// Share of one CPU, 0...1.
    public var cpu: Double?
    /// Milliseconds: when the source's own I/O takes longer than this on average, the agent backs off.
    public var latency: Double?
    /// Rounds that may bring the consistent instant no nearer, before a sync ends as `not_converging` and a final one
    /// freezes anyway.
    public var stalledRounds: Int?
    public init(
      link: UInt64? = nil, read: UInt64? = nil, cpu: Double? = nil, latency: Double? = nil, stalledRounds: Int? = nil
    ) {
      (self.link, self.read, self.cpu, self.latency) = (link, read, cpu, latency)
      self.stalledRounds = stalledRounds
    }
  }

  public init(
    migration: String, session: String, mode: Mode, final: Bool, gateway: String, grant: String, disks: [String],
    identities: [String]? = nil, limits: Limits = Limits(), scrub: ScrubWindow? = nil
  ) {
    (self.migration, self.session, self.mode, self.final) = (migration, session, mode, final)
    (self.gateway, self.grant, self.disks, self.limits) = (gateway, grant, disks, limits)
    (self.identities, self.scrub) = (identities, scrub)
  }
}

/// `POST /v1/agent/reports`: how a command goes. Repeating a report is harmless.
public struct AgentReport: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case running, done, failed, refused }
  public var command: String
  public var state: State
  public var progress: SyncProgress?
  public var receipt: SealReceipt?
  /// With a receipt: a signed `AgentStatement`.
  public var statement: String?
  public var rehearsal: RepairReport?
  public var machine: MachineDescription?
  public var failure: Failure?
  /// At the end of a final sync that failed: the filesystems are thawed, or never were frozen.
  public var sourceRuns: Bool?

  /// A closed set of codes; an unknown one from a newer agent is kept as it is.
  public struct Failure: Codable, Hashable, Sendable {
    /// `disk_read_error`, `gateway_refused`, `target_full`, `disk_vanished`, `cancelled`, `freeze_failed`, `not_quiet`,
    /// `hook_failed`, `disk_changed`, `disk_missing`, `target_unreliable`, `replica_put_back`, ...
    public var code: String
    public var message: String
    /// The end of what a hook printed, at most 64 KiB, where one failed.
    public var output: String?
    public init(code: String, message: String, output: String? = nil) {
      (self.code, self.message, self.output) = (code, message, output)
    }
  }

  public init(
    command: String, state: State, progress: SyncProgress? = nil, receipt: SealReceipt? = nil,
    statement: String? = nil, rehearsal: RepairReport? = nil, machine: MachineDescription? = nil,
    failure: Failure? = nil, sourceRuns: Bool? = nil
  ) {
    self.statement = statement
    (self.command, self.state, self.progress, self.receipt) = (command, state, progress, receipt)
    (self.rehearsal, self.machine, self.failure) = (rehearsal, machine, failure)
    self.sourceRuns = sourceRuns
  }
}

public struct SyncProgress: Codable, Hashable, Sendable {
  /// `tracking, copying, catchingUp, freezing, sealing`
  public var phase: String
  /// What this sync really is, after a delta that could not be proven.
  public var mode: SyncCommand.Mode
  /// Why a delta became a compare.
  public var voided: String?
  /// Bytes that must be looked at in all, and that were settled or found equal.
  public var usedBytes: UInt64
  public var doneBytes: UInt64
  /// Bytes put on the wire, after compression, headers included; and what they were before compression.
  public var wireBytes: UInt64
  public var sentBytes: UInt64
  /// Bytes changed and not yet sent.
  public var dirtyBytes: UInt64
  /// Milliseconds the filesystems were frozen, once they were.
  public var freezeMilliseconds: Double?
  /// How changes are seen: `tp_btf`, `tracepoint`, `blktrace`, or `none`; joined by `+` where disks differ.
  public var tracking: String?
  /// How long the copying will take; nil where nobody can say yet.
  public var forecast: Forecast?
  /// What keeps a sync that goes on from its end, and what helps.
  public var problem: String?
  /// Set where there was a scrub, or something was found.
  public var scrub: ScrubFindings?

  /// From the rates of the last rounds, in bytes a second; `writeRate` is not known before the second round.
  public struct Forecast: Codable, Hashable, Sendable {
    public var lowSeconds: Double
    /// Nil: at these rates it does not converge.
    public var highSeconds: Double?
    public var sendRate: Double
    public var writeRate: Double?
    public init(lowSeconds: Double, highSeconds: Double?, sendRate: Double, writeRate: Double?) {
      (self.lowSeconds, self.highSeconds) = (lowSeconds, highSeconds)
      (self.sendRate, self.writeRate) = (sendRate, writeRate)
    }
  }

  public init(
    phase: String, mode: SyncCommand.Mode, voided: String? = nil, usedBytes: UInt64, doneBytes: UInt64,
    wireBytes: UInt64, sentBytes: UInt64, dirtyBytes: UInt64, freezeMilliseconds: Double? = nil,
    tracking: String? = nil, forecast: Forecast? = nil, scrub: ScrubFindings? = nil, problem: String? = nil
  ) {
    (self.phase, self.mode, self.voided) = (phase, mode, voided)
    (self.usedBytes, self.doneBytes, self.wireBytes) = (usedBytes, doneBytes, wireBytes)
    (self.sentBytes, self.dirtyBytes, self.freezeMilliseconds) = (sentBytes, dirtyBytes, freezeMilliseconds)
    (self.tracking, self.forecast, self.scrub, self.problem) = (tracking, forecast, scrub, problem)
  }
}
