/// How a gateway runs.
public struct GatewaySettings: Sendable {
  /// Where to listen; port 0 lets the system choose.
  public var host: String
  public var port: Int
  /// A folder that belongs to this gateway alone; created where it does not exist.
  public var stateFolder: String
  /// Ed25519 public keys (32 bytes each) of those who issue grants.
  public var issuers: [[UInt8]]
  /// PEM: the certificate chain, and its private key.
  public var certificate: [UInt8]
  public var privateKey: [UInt8]
  /// Most bytes of one session, and of all sessions, held in memory.
  public var sessionBudget = 64 << 20
  public var totalBudget = 256 << 20
  /// Threads that block on volumes. One replica has a quarter of them at most, so that a volume that hangs leaves the
  /// other sources theirs.
  public var threads = 16
  /// Seconds that a seal's request waits for the outcome before it is told to ask again.
  public var sealWait = 10

  public init(
    host: String, port: Int, stateFolder: String, issuers: [[UInt8]], certificate: [UInt8], privateKey: [UInt8]
  ) {
    (self.host, self.port, self.stateFolder, self.issuers) = (host, port, stateFolder, issuers)
    (self.certificate, self.privateKey) = (certificate, privateKey)
  }
}
