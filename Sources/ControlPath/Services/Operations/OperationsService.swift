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
    /// Signs the heads of the audit.
    public var key: AgentKey
    /// Where that key is kept; it must stay there for the service to be ready.
    public var keyFile: String
    public init(
      folder: String, bindings: [HTTPServer.Binding], callers: [String: [UInt8]], key: AgentKey, keyFile: String
    ) {
      (self.folder, self.bindings, self.callers) = (folder, bindings, callers)
      (self.key, self.keyFile) = (key, keyFile)
    }
  }

  /// The name in service tokens.
  public static let name = "operations"

  private let servers: [HTTPServer]
  private let logger: Logger

  /// Opens the database.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    _ configuration: Configuration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    try PrivateFile.makeFolder(configuration.folder)
    let database = try Database.open(
      configuration.folder + "/operations.sqlite", migrations: OperationsSchema.migrations)
    let routes = OperationsRoutes(log: AuditLog(database: database, key: configuration.key), logger: logger)
    let verifier = ServiceTokenVerifier(audience: Self.name, keys: configuration.callers)
    let status = ServiceStatus(
      Self.name, checks: [.database(database), .key(configuration.keyFile)], logger: logger)
    servers = configuration.bindings.map { binding in
      HTTPServer(binding, logger: logger, status: status, onRunning: onRunning) {
        routes.add(to: $0, verifier: verifier)
      }
    }
    self.logger = logger
  }

  public func run() async throws {
    try await ServiceGroup(configuration: .init(services: servers, logger: logger)).run()
  }
}
