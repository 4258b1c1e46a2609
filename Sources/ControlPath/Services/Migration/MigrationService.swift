public import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle
import Wire
import WorkflowSQLite
import Workflows

/// The migration service: sources and migrations, and the workflows that orchestrate them. Its API listens where the
/// configuration says; it ends by graceful shutdown.
public struct MigrationService: Service {
  private let orchestrator: Orchestrator
  private let status: ServiceStatus
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// Opens the database.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    configuration: MigrationConfiguration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    self.onRunning = onRunning
    let database = try MigrationDatabase(path: configuration.database)
    orchestrator = Orchestrator(
      configuration: configuration, database: database, store: try SQLiteWorkflowStore(database.pool), logger: logger)
    status = ServiceStatus(
      "migration",
      checks: [.database(database.pool), try .service("clouds", configuration.clouds)]
        + (configuration.keyFile.map { [.key($0)] } ?? []), logger: logger)
    status.metrics.gaugeAuditOutbox(of: database.pool)
    WorkflowMetrics(registry: status.metrics).addGauges(orchestrator)
  }

  /// Adds the routes to a server of the caller's, behind its own middleware.
  @Sendable public func addRoutes(to router: Router<ServiceContext>) {
    AgentRoutes(orchestrator: orchestrator).add(to: router)
    let tokens = TokenMiddleware(
      services: ServiceTokenVerifier(audience: "migration", keys: orchestrator.configuration.callers),
      users: orchestrator.configuration.users, rights: Self.rights, auditor: orchestrator.auditor)
    let tenant = router.group("v1/tenants/{tenant}").add(middleware: tokens)
    TenantRoutes(orchestrator: orchestrator).add(to: tenant)
    MigrationRoutes(orchestrator: orchestrator).add(to: tenant)
  }

  public func run() async throws {
    let configuration = orchestrator.configuration
    let worker = WorkflowWorker(
      store: orchestrator.store, catalog: orchestrator.catalog,
      configuration: .init(
        owner: Identifier.make("worker"), pollInterval: configuration.pollInterval,
        leaseSeconds: configuration.leaseSeconds),
      clock: configuration.clock, faults: configuration.faults,
      onStep: WorkflowMetrics(registry: status.metrics).note, logger: orchestrator.logger)
    let servers = configuration.bindings.map {
      HTTPServer($0, logger: orchestrator.logger, status: status, onRunning: onRunning, routes: addRoutes)
    }
    let sender = try configuration.operations.map {
      try AuditSender(
        service: "migration", key: configuration.key, operations: $0, writer: orchestrator.database.pool,
        logger: orchestrator.logger)
    }
    let group = ServiceGroup(
      configuration: .init(
        services: servers.map { .init(service: $0) } + [
          .init(service: Scheduler(orchestrator: orchestrator)), .init(service: worker)
        ] + (orchestrator.licences.map { [.init(service: LicenceKeeper(licences: $0))] } ?? [])
          + (sender.map { [.init(service: $0)] } ?? []), logger: orchestrator.logger))
    try await group.run()
  }
}
