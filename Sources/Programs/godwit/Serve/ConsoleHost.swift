import Console
import Logging
import ServiceKit
import ServiceLifecycle

/// The console from its settings. It keeps nothing on disk.
struct ConsoleHost {
  private let configuration: ConsoleService.Configuration

  init(_ given: ServiceSettings) throws {
    var settings = given
    let bindings = settings.bindings()
    let (identity, migration) = (settings.endpoint("identity-url"), settings.endpoint("migration-url"))
    let (clouds, operations) = (settings.endpoint("clouds-url"), settings.endpoint("operations-url"))
    let fronts = settings.optional("front-addresses") { text in
      Set(text.split(separator: ",").map { String($0).filter { $0 != " " } })
    }
    guard let bindings, let identity, let migration, let clouds, let operations, settings.isGood else {
      throw settings.failure
    }
    configuration = .init(
      bindings: bindings,
      services: .init(identity: identity, migration: migration, clouds: clouds, operations: operations),
      fronts: fronts ?? [])
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try ConsoleService(configuration, logger: logger, onRunning: onRunning)
  }
}
