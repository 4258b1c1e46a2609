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
    let fronts = settings.optional("front-addresses") { text in
      Set(text.split(separator: ",").map { String($0).filter { $0 != " " } })
    }
    guard let folder, let bindings, settings.isGood else { throw settings.failure }
    configuration = .init(folder: folder, bindings: bindings, bootstrap: token, fronts: fronts ?? [])
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try IdentityService(configuration: configuration, logger: logger, onRunning: onRunning)
  }
}
