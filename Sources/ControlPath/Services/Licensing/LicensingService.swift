public import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle
public import Wire

/// The licensing service: issues licences for the operator, says which ones a tenant has, and checks them. Without a folder
/// it keeps nothing, and issues and checks by its key alone: so it fits a function platform.
public struct LicensingService: Service {
  /// What a tenant is given that never had a licence.
  public struct Evaluation: Hashable, Sendable {
    public var seats: Int
    public var days: Int
    public init(seats: Int, days: Int) { (self.seats, self.days) = (seats, days) }
  }

  public struct Configuration: Sendable {
    /// Its own folder (0700): `licensing.sqlite`; nil: nothing is kept.
    public var folder: String?
    /// Signs licences.
    public var key: AgentKey
    /// Public halves of the keys that signed before it.
    public var formerKeys: [[UInt8]]
    public var evaluation: Evaluation?
    public var bindings: [HTTPServer.Binding]
    /// Who may call: public keys by service name.
    public var callers: [String: [UInt8]]
    /// Checks the access tokens of people and programs; nil: services only.
    public var users: AccessTokenVerifier?
    /// Without it audit events stay in the outbox.
    public var audit: AuditDelivery?
    /// IP addresses of fronts, whose word is taken for where a request came from.
    public var fronts: Set<String> = []
    /// Seconds since 1970.
    public var now: @Sendable () -> Double
    public init(
      folder: String?, key: AgentKey, formerKeys: [[UInt8]] = [], evaluation: Evaluation? = nil,
      bindings: [HTTPServer.Binding], callers: [String: [UInt8]], users: AccessTokenVerifier? = nil,
      audit: AuditDelivery? = nil, now: @escaping @Sendable () -> Double
    ) {
      (self.folder, self.key, self.formerKeys, self.evaluation) = (folder, key, formerKeys, evaluation)
      (self.bindings, self.callers, self.users) = (bindings, callers, users)
      (self.audit, self.now) = (audit, now)
    }
  }

  /// The name in service tokens.
  public static let name = "licensing"

  private let configuration: Configuration
  private let database: LicensingDatabase?
  private let status: ServiceStatus
  private let logger: Logger
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// Opens the database, where there is one.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    _ configuration: Configuration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    (self.configuration, self.logger, self.onRunning) = (configuration, logger, onRunning)
    database = try configuration.folder.map { folder in
      try PrivateFile.makeFolder(folder)
      return try LicensingDatabase(path: folder + "/licensing.sqlite")
    }
    status = ServiceStatus(Self.name, checks: database.map { [.database($0.pool)] } ?? [], logger: logger)
    if let database { status.metrics.gaugeAuditOutbox(of: database.pool) }
  }

  /// Adds the routes to a server of the caller's, behind its own middleware.
  @Sendable public func addRoutes(to router: Router<ServiceContext>) {
    let tokens = TokenMiddleware(
      services: ServiceTokenVerifier(audience: Self.name, keys: configuration.callers), users: configuration.users,
      rights: Self.rights,
      auditor: database.map { Auditor(service: Self.name, writer: $0.pool, fronts: configuration.fronts) })
    let now = configuration.now
    let issuer = LicenceIssuer(key: configuration.key, former: configuration.formerKeys) { Int(now()) }
    let platform = router.group("v1").add(middleware: tokens).add(middleware: PlatformMiddleware())
    let tenant = router.group("v1/tenants/{tenant}").add(middleware: tokens)
    guard let database else { return IssuingRoutes(issuer: issuer, database: nil).add(to: platform) }
    IssuingRoutes(issuer: issuer, database: database).add(to: platform)
    LicensingRoutes(issuer: issuer, database: database, evaluation: configuration.evaluation)
      .add(platform: platform, tenant: tenant)
  }

  public func run() async throws {
    var services: [any Service] = configuration.bindings.map {
      HTTPServer($0, logger: logger, status: status, onRunning: onRunning, routes: addRoutes)
    }
    if let database, let audit = configuration.audit {
      services.append(
        try AuditSender(
          service: Self.name, key: audit.key, operations: audit.operations, writer: database.pool, logger: logger))
    }
    try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
  }
}

/// The operator's routes: a service acts there for every tenant, or not at all.
private struct PlatformMiddleware: RouterMiddleware {
  typealias Context = ServiceContext

  func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    // Only the front asks in somebody's name.
    if case .service(let token) = context.caller, token.tenant != "*" || token.sub == nil {
      throw Problem.notFound("page")
    }
    return try await next(request, context)
  }
}
