import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle

/// The console service: web pages over the other services' REST APIs. It keeps nothing but streams of its readers.
public struct ConsoleService: Service {
  public struct Configuration: Sendable {
    /// Where it listens.
    public var bindings: [HTTPServer.Binding]
    public var services: Platform.Endpoints
    /// IP addresses of fronts, whose `X-Forwarded-For` is believed; on a Unix socket it always is.
    public var fronts: Set<String>
    public init(bindings: [HTTPServer.Binding], services: Platform.Endpoints, fronts: Set<String> = []) {
      (self.bindings, self.services, self.fronts) = (bindings, services, fronts)
    }
  }

  private let configuration: Configuration
  private let parts: ConsoleParts
  private let status: ServiceStatus
  private let logger: Logger
  private let onRunning: @Sendable (HTTPServer.Place) async -> Void

  /// Reads templates and words.
  /// - Parameter onRunning: called for each address once it accepts requests.
  /// - Throws: `ConfigurationError`.
  public init(
    _ configuration: Configuration, logger: Logger,
    onRunning: @escaping @Sendable (HTTPServer.Place) async -> Void = { _ in }
  ) throws {
    (self.configuration, self.logger, self.onRunning) = (configuration, logger, onRunning)
    let services = configuration.services
    parts = ConsoleParts(
      resources: try Resources(), platform: try Platform(services), fronts: configuration.fronts, logger: logger)
    status = ServiceStatus(
      "console",
      checks: [
        try .service("identity", services.identity), try .service("migration", services.migration),
        try .service("clouds", services.clouds), try .service("operations", services.operations)
      ], logger: logger)
    let feeds = parts.feeds
    status.metrics.gauge("godwit_console_streams", "Open event streams of browsers.") {
      let labels: MetricRegistry.Labels = ["service": "console"]
      return [(labels, Double(feeds.streams))]
    }
  }

  public func run() async throws {
    let servers: [any Service] = configuration.bindings.map {
      HTTPServer($0, logger: logger, status: status, onRunning: onRunning) { ConsoleRoutes(parts: parts).add(to: $0) }
    }
    try await ServiceGroup(configuration: .init(services: [parts.feeds] + servers, logger: logger)).run()
  }
}
