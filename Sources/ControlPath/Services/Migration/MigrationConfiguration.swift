public import ServiceKit
public import Wire
public import Workflows

/// What the migration service needs to know at start.
public struct MigrationConfiguration: Sendable {
  /// Path of its own SQLite file.
  public var database: String
  /// Signs grants, agents' access tokens and the tokens shown to the clouds service. Gateways and the clouds service
  /// are given the public half.
  public var key: AgentKey
  /// Where that key is kept; it must stay there for the service to be ready.
  public var keyFile: String?
  /// Where it listens; more than one address is fine (a Unix socket for the other services, TLS for agents).
  public var bindings: [HTTPServer.Binding]
  /// Public keys (32 bytes) of the services that may call the tenants' routes, by name.
  public var callers: [String: [UInt8]]
  /// Checks the access tokens of people and programs; nil: services only.
  public var users: AccessTokenVerifier?
  public var clouds: RESTClient.Endpoint
  /// Takes the audit events; without it they stay in the outbox.
  public var operations: RESTClient.Endpoint?
  /// Who says which licences a tenant has; without it no seats are counted.
  public var licensing: Licensing?
  /// `https://HOST:PORT` as agents reach this service; key proofs are checked against it.
  public var publicURL: String
  /// PEM of the CA that agents are to trust; part of the line to paste.
  public var certificateAuthority: String
  /// PEM of the CA's certificate on `key` (`SignerRole.enrolment`); without it no point has evidence.
  public var enrolmentCertificate: String?
  /// The static agent for `linux-x86_64`; nil where there is none.
  public var agentBinary: String?
  /// Seconds between two looks for due work.
  public var pollInterval: Double
  /// Seconds between two looks at something that becomes ready (a volume, a machine).
  public var settleInterval: Double
  /// Seconds for which a worker holds a workflow without a sign of life; what a crash costs at most.
  public var leaseSeconds: Double
  /// Seconds without a call after which the agent of a final sync may be lost, and its gateway is asked; and those it
  /// has to say that its source runs, once it was told that the final sync is retired.
  public var agentSilence: Double
  /// IP addresses of fronts, whose word is taken for where a request came from.
  public var fronts: Set<String> = []
  public var clock: WorkflowClock
  public var faults: FaultPoints

  public struct Licensing: Sendable {
    public var endpoint: RESTClient.Endpoint
    /// Public keys (32 bytes) that sign licences.
    public var keys: [[UInt8]]
    public init(endpoint: RESTClient.Endpoint, keys: [[UInt8]]) { (self.endpoint, self.keys) = (endpoint, keys) }
  }

  public init(
    database: String, key: AgentKey, keyFile: String? = nil, bindings: [HTTPServer.Binding], callers: [String: [UInt8]],
    users: AccessTokenVerifier? = nil, clouds: RESTClient.Endpoint, operations: RESTClient.Endpoint? = nil,
    licensing: Licensing? = nil, publicURL: String, certificateAuthority: String, enrolmentCertificate: String? = nil,
    agentBinary: String? = nil, pollInterval: Double = 0.5, settleInterval: Double = 1, leaseSeconds: Double = 30,
    agentSilence: Double = 60, clock: WorkflowClock = .system,
    faults: FaultPoints = .none
  ) {
    (self.database, self.key, self.keyFile) = (database, key, keyFile)
    (self.bindings, self.callers, self.users) = (bindings, callers, users)
    (self.clouds, self.operations, self.licensing) = (clouds, operations, licensing)
    (self.publicURL, self.certificateAuthority) = (publicURL, certificateAuthority)
    self.enrolmentCertificate = enrolmentCertificate
    (self.agentBinary, self.pollInterval, self.settleInterval) = (agentBinary, pollInterval, settleInterval)
    (self.leaseSeconds, self.agentSilence) = (leaseSeconds, agentSilence)
    (self.clock, self.faults) = (clock, faults)
  }
}
