import ArgumentParser
import Logging
import ServiceKit
import ServiceLifecycle

/// The services of this program. `godwit serve` runs one, `godwit up` all of them; each is made from its settings only.
enum HostedService: String, CaseIterable, ExpressibleByArgument {
  case identity, operations, licensing, clouds, migration, console, front

  /// Called for each address of a service once it accepts requests.
  typealias OnRunning = @Sendable (HTTPServer.Place) async -> Void

  /// - Throws: `ConfigurationError` that names every setting that is wrong.
  func make(_ settings: ServiceSettings, onRunning: @escaping OnRunning) throws -> any Service {
    let logger = Logger(label: rawValue)
    return switch self {
    case .identity: try IdentityHost(settings).service(logger, onRunning)
    case .operations: try OperationsHost(settings).service(logger, onRunning)
    case .licensing: try LicensingHost(settings).service(logger, onRunning)
    case .clouds: try CloudsHost(settings).service(logger, onRunning)
    case .migration: try MigrationHost(settings).service(logger, onRunning)
    case .console: try ConsoleHost(settings).service(logger, onRunning)
    case .front: try FrontHost(settings).service(logger, onRunning)
    }
  }
}
