import Identity
import Logging
import ServiceKit
import ServiceLifecycle

/// The identity service from its settings.
struct IdentityHost {
  private let configuration: IdentityConfiguration

  init(_ given: ServiceSettings) throws {
    var settings = given
    let folder = settings.required("state", example: "/var/lib/godwit/identity", Setting.folder)
    let bindings = settings.bindings()
    let token = settings.optional("admin-token-file") { try AdminToken.open(file: try Setting.file($0)) }
    let fronts = settings.fronts()
    let (key, operations) = (settings.signingKey(), settings.endpoint("operations-url"))
    guard let folder, let bindings, let key, let operations, settings.isGood else { throw settings.failure }
    configuration = .init(
      folder: folder, bindings: bindings, bootstrap: token, fronts: fronts,
      audit: AuditDelivery(operations: operations, key: key))
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try IdentityService(configuration: configuration, logger: logger, onRunning: onRunning)
  }
}
