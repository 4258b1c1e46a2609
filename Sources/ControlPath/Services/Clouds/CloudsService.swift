import Foundation
public import Logging
public import ServiceKit
public import ServiceLifecycle
public import Wire

/// The clouds service: targets, the resource ledger, and the loop that brings providers to what the ledger wants.
public struct CloudsService: Service {
  public struct Configuration: Sendable {
    /// Its own folder (0700): `clouds.sqlite`, `secrets.key`.
    public var folder: String
    /// Where it listens.
    public var bindings: [HTTPServer.Binding]
    /// Who may call: public keys by service name.
    public var callers: [String: [UInt8]]
    /// Checks the access tokens of people and programs; nil: services only.
    public var users: AccessTokenVerifier?
    /// The gateways it hands out; the first one serves.
    public var gateways: [CloudsAPI.Gateway]
    /// How providers are made, by kind: `local`, `fake`.
    public var providers: [String: ProviderFactory]
    /// Without it audit events stay in the outbox.
    public var audit: AuditDelivery?
    /// IP addresses of fronts, whose word is taken for where a request came from.
    public var fronts: Set<String> = []
    /// Where targets may be.
    public var addresses: AddressGuard
    /// Keys of 32 bytes that seal targets' secrets, the newest first; without any the folder has one.
    public var secretKeys: [[UInt8]]
    public init(
      folder: String, bindings: [HTTPServer.Binding], callers: [String: [UInt8]], users: AccessTokenVerifier? = nil,
      gateways: [CloudsAPI.Gateway], providers: [String: ProviderFactory], audit: AuditDelivery? = nil,
      addresses: AddressGuard = AddressGuard(), secretKeys: [[UInt8]] = []
    ) {
      (self.folder, self.bindings, self.callers, self.users) = (folder, bindings, callers, users)
      (self.gateways, self.providers, self.audit) = (gateways, providers, audit)
      (self.addresses, self.secretKeys) = (addresses, secretKeys)
    }
  }

  /// The name in service tokens.
  public static let name = "clouds"

  private let configuration: Configuration
  private let logger: Logger
  private let pace: Reconciler.Pace
  private let now: @Sendable () -> Double
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// - Parameter onRunning: called for each address once it accepts requests.
  public init(
    _ configuration: Configuration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) {
    self.init(
      configuration, logger: logger, pace: Reconciler.Pace(), now: { Date().timeIntervalSince1970 },
      onRunning: onRunning)
  }

  init(
    _ configuration: Configuration, logger: Logger, pace: Reconciler.Pace, now: @escaping @Sendable () -> Double,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void
  ) {
    (self.configuration, self.logger, self.pace) = (configuration, logger, pace)
    (self.now, self.onRunning) = (now, onRunning)
  }

  /// Serves and reconciles until graceful shutdown.
  /// - Throws: `ConfigurationError` at start.
  public func run() async throws {
    try PrivateFile.makeFolder(configuration.folder)
    // The steps under way are known to one process only.
    let lock = try FolderLock(configuration.folder, holder: "clouds service")
    defer { lock.release() }
    let database = try Database.open(configuration.folder + "/clouds.sqlite", migrations: CloudsSchema.migrations)
    let keyFile = configuration.folder + "/secrets.key"
    let box = try SecretBox(keyFile: keyFile, newer: configuration.secretKeys)
    let ledger = Ledger(database: database, now: now)
    let targets = Targets(
      database: database, box: box, factories: configuration.providers, addresses: configuration.addresses)
    let reconciler = Reconciler(ledger: ledger, targets: targets, pace: pace, logger: logger)
    let routes = CloudsRoutes(
      ledger: ledger, targets: targets, reconciler: reconciler, gateways: configuration.gateways,
      installation: try await ledger.installation())
    let tokens = TokenMiddleware(
      services: ServiceTokenVerifier(audience: Self.name, keys: configuration.callers), users: configuration.users,
      rights: Self.rights, auditor: Auditor(service: Self.name, writer: database, fronts: configuration.fronts))
    let status = ServiceStatus(
      Self.name, checks: [.database(database)] + (configuration.secretKeys.isEmpty ? [.key(keyFile)] : []),
      logger: logger)
    let servers: [any Service] = configuration.bindings.map { binding in
      HTTPServer(
        binding, logger: logger, status: status, onRunning: onRunning,
        routes: { router in routes.add(to: router, tokens: tokens) })
    }
    status.metrics.gaugeAuditOutbox(of: database)
    status.metrics.gaugeOldSecrets(box, in: database)
    let sender = try configuration.audit.map {
      try AuditSender(service: Self.name, key: $0.key, operations: $0.operations, writer: database, logger: logger)
    }
    let services =
      [reconciler, SecretRotation(database: database, box: box, logger: logger)] + servers + (sender.map { [$0] } ?? [])
    try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
  }
}
