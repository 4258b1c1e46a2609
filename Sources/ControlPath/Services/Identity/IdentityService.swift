import GRDB
public import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle
import Wire

/// The identity service: tenants, users and their roles, sign-in, API tokens, and the keys that sign access tokens.
public struct IdentityService: Service {
  /// The tenant that there is from the first start on.
  public static let firstTenant = "default"

  private let configuration: IdentityConfiguration
  private let database: IdentityDatabase
  private let keys: SigningKeys
  private let box: SecretBox
  private let auditor: Auditor
  private let status: ServiceStatus
  private let logger: Logger
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// Opens the database; the first time, makes a signing key and the tenant `default`.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    configuration: IdentityConfiguration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    (self.configuration, self.logger, self.onRunning) = (configuration, logger, onRunning)
    try PrivateFile.makeFolder(configuration.folder)
    database = try IdentityDatabase(path: configuration.folder + "/identity.sqlite")
    status = ServiceStatus(
      "identity", checks: [.database(database.pool), .key(configuration.folder + "/secrets.key")], logger: logger)
    status.metrics.gaugeAuditOutbox(of: database.pool)
    let now = configuration.now
    auditor = Auditor(service: "identity", writer: database.pool, fronts: configuration.fronts)
    keys = try SigningKeys(database: database, folder: configuration.folder + "/keys", auditor: auditor) { Int(now()) }
    box = try SecretBox(keyFile: configuration.folder + "/secrets.key")
    try database.pool.write { db in
      guard try TenantRecord.fetchCount(db) == 0 else { return }
      try TenantRecord(id: Self.firstTenant, name: Self.firstTenant, createdAt: Int(now())).insert(db)
    }
  }

  /// Checks access tokens with this service's own keys, without asking over the network.
  private var users: AccessTokenVerifier {
    AccessTokenVerifier(
      KeyDirectory(now: configuration.now) { [keys] in try await keys.keySet() }, now: configuration.now)
  }

  /// Adds the routes to a server of the caller's, behind its own middleware.
  @Sendable public func addRoutes(to router: Router<ServiceContext>) {
    let clock = configuration.now
    let now: @Sendable () -> Int = { Int(clock()) }
    let secondFactor = SecondFactor(database: database, box: box, now: now)
    let signIn = SignIn(
      database: database, limit: SignInLimit(database: database, now: clock), secondFactor: secondFactor,
      cost: configuration.passwordCost, now: now)
    let invitations = Invitations(database: database, signIn: signIn)
    let people = People(database: database, cost: configuration.passwordCost, now: now)
    let watch = SessionWatch(auditor: auditor, signIn: signIn)
    let signOn = SignOnRoutes(
      signOn: SignOn(
        database: database, providers: SignOnProviders(database: database, box: box, now: now), signIn: signIn,
        limit: signIn.limit, box: box, now: now),
      watch: watch, fronts: configuration.fronts)
    SessionRoutes(
      keys: keys,
      credentials: Credentials(database: database, keys: keys, bootstrap: configuration.bootstrap, now: now),
      signIn: signIn, invitations: invitations, fronts: configuration.fronts, watch: watch
    ).add(to: router)
    signOn.addPublic(to: router)
    let tokens = TokenMiddleware(
      services: ServiceTokenVerifier(audience: "identity", keys: [:]), users: users, rights: Self.rights,
      admin: configuration.bootstrap, auditor: auditor)
    let platform = router.group("v1").add(middleware: tokens)
    PlatformRoutes(people: people, keys: keys, secondFactor: secondFactor).add(to: platform)
    signOn.addPlatform(to: platform)
    TenantRoutes(people: people, invitations: invitations, tokens: APITokens(database: database, now: now))
      .add(to: router.group("v1/tenants/{tenant}").add(middleware: tokens))
  }

  public func run() async throws {
    let servers = configuration.bindings.map {
      HTTPServer($0, logger: logger, status: status, onRunning: onRunning, routes: addRoutes)
    }
    let sender = try configuration.audit.map {
      try AuditSender(
        service: "identity", key: $0.key, operations: $0.operations, writer: database.pool, logger: logger)
    }
    let services: [any Service] = servers + (sender.map { [$0] } ?? [])
    try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
  }
}
