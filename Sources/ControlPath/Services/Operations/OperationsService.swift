public import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle
public import Wire

/// The operations service: keeps the audit.
public struct OperationsService: Service {
  public struct Configuration: Sendable {
    /// Its own folder (0700): `operations.sqlite`.
    public var folder: String
    /// Where it listens.
    public var bindings: [HTTPServer.Binding]
    /// Who may call: public keys by service name.
    public var callers: [String: [UInt8]]
    /// Checks the access tokens of people and programs; nil: services only.
    public var users: AccessTokenVerifier?
    /// Signs the heads of the audit.
    public var key: AgentKey
    /// Where that key is kept; it must stay there for the service to be ready.
    public var keyFile: String
    public init(
      folder: String, bindings: [HTTPServer.Binding], callers: [String: [UInt8]], users: AccessTokenVerifier? = nil,
      key: AgentKey, keyFile: String
    ) {
      (self.folder, self.bindings, self.callers, self.users) = (folder, bindings, callers, users)
      (self.key, self.keyFile) = (key, keyFile)
    }
  }

  /// The name in service tokens.
  public static let name = "operations"

  /// What each route needs of whoever shows an access token. Events come from services only.
  public static let rights = RouteRights([
    "GET /v1/tenants/{tenant}/audit": .configure,
    "GET /v1/audit/export": .platform
  ])

  private let configuration: Configuration
  private let routes: OperationsRoutes
  private let status: ServiceStatus
  private let logger: Logger
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// Opens the database.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    _ configuration: Configuration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    (self.configuration, self.logger, self.onRunning) = (configuration, logger, onRunning)
    try PrivateFile.makeFolder(configuration.folder)
    let database = try Database.open(
      configuration.folder + "/operations.sqlite", migrations: OperationsSchema.migrations)
    routes = OperationsRoutes(log: AuditLog(database: database, key: configuration.key), logger: logger)
    status = ServiceStatus(Self.name, checks: [.database(database), .key(configuration.keyFile)], logger: logger)
  }

  /// Adds the routes to a server of the caller's, behind its own middleware.
  @Sendable public func addRoutes(to router: Router<ServiceContext>) {
    routes.add(
      to: router,
      tokens: TokenMiddleware(
        services: ServiceTokenVerifier(audience: Self.name, keys: configuration.callers), users: configuration.users,
        rights: Self.rights))
  }

  public func run() async throws {
    let servers = configuration.bindings.map {
      HTTPServer($0, logger: logger, status: status, onRunning: onRunning, routes: addRoutes)
    }
    try await ServiceGroup(configuration: .init(services: servers, logger: logger)).run()
  }
}
