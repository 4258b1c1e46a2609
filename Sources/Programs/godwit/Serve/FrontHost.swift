import Logging
import ServiceKit
import ServiceLifecycle

/// The front from its settings. It keeps nothing.
struct FrontHost {
  private let front: Front
  private let bindings: [HTTPServer.Binding]
  private let token: AdminToken
  private let checks: [ReadinessCheck]

  init(_ given: ServiceSettings) throws {
    var settings = given
    let bindings = settings.bindings()
    let key = settings.signingKey()
    let token = settings.required("admin-token-file", example: "/etc/godwit/admin.token") { path in
      try AdminToken.open(file: try Setting.file(path))
    }
    let clouds = settings.endpoint("clouds-url")
    let migration = settings.endpoint("migration-url")
    let (identity, operations) = (settings.endpoint("identity-url"), settings.endpoint("operations-url"))
    let services = settings.optional("services-ca", Setting.content)
    let licensing = settings.optional("licensing-url") { try Setting.endpoint($0, ca: services) }
    let console = settings.optional("console-url") { try Setting.endpoint($0, ca: services) }
    guard let bindings, let key, let token, let clouds, let migration, let identity, let operations, settings.isGood
    else { throw settings.failure }
    (self.bindings, self.token) = (bindings, token)
    checks =
      [
        try .service("clouds", clouds), try .service("migration", migration), try .service("identity", identity),
        try .service("operations", operations)
      ] + (try console.map { [try .service("console", $0)] } ?? [])
    front = Front(
      token: token, issuer: ServiceTokenIssuer(name: "front", key: key), exchange: try TokenExchange(identity),
      clouds: try Forwarder(name: "clouds", endpoint: clouds),
      migration: try Forwarder(name: "migration", endpoint: migration),
      identity: try Forwarder(name: "identity", endpoint: identity),
      operations: try Forwarder(name: "operations", endpoint: operations),
      licensing: try licensing.map { try Forwarder(name: "licensing", endpoint: $0) },
      console: try console.map { try Forwarder(name: "console", endpoint: $0) })
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) -> any Service {
    // Everybody reaches the front, and its metrics are the administrator's.
    let status = ServiceStatus("front", checks: checks, logger: logger, metricsToken: token)
    let servers = bindings.map {
      HTTPServer($0, logger: logger, status: status, onRunning: onRunning, routes: front.add)
    }
    return ServiceGroup(configuration: .init(services: servers, logger: logger))
  }
}
