import Logging
import Operations
import ServiceKit
import ServiceLifecycle

/// The operations service from its settings.
struct OperationsHost {
  private let configuration: OperationsService.Configuration

  init(_ given: ServiceSettings) throws {
    var settings = given
    let folder = settings.required("state", example: "/var/lib/godwit/operations", Setting.folder)
    let bindings = settings.bindings()
    let (key, keyFile) = (settings.signingKey(), settings.optional("key-file", Setting.file))
    let callers = settings.callers(
      "front:/etc/godwit/front.key.pub, migration:/etc/godwit/migration.key.pub, clouds:/etc/godwit/clouds.key.pub, "
        + "identity:/etc/godwit/identity.key.pub")
    let users = settings.users()
    guard let folder, let bindings, let key, let keyFile, let callers, settings.isGood else { throw settings.failure }
    configuration = .init(
      folder: folder, bindings: bindings, callers: callers,
      users: users, key: key, keyFile: keyFile)
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try OperationsService(configuration, logger: logger, onRunning: onRunning)
  }
}
