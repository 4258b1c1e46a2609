import Clouds
import Logging
import ServiceKit
import ServiceLifecycle
import Wire

/// The clouds service from its settings.
struct CloudsHost {
  private var configuration: CloudsService.Configuration

  init(_ given: ServiceSettings) throws {
    var settings = given
    let folder = settings.required("state", example: "/var/lib/godwit/clouds", Setting.folder)
    let bindings = settings.bindings()
    let callers = settings.callers("front:/etc/godwit/front.key.pub, migration:/etc/godwit/migration.key.pub")
    let (key, operations) = (settings.signingKey(), settings.endpoint("operations-url"))
    let (users, fronts) = (settings.users(), settings.fronts())
    let gateway = Self.gateway(&settings)
    let addresses = settings.optional("target-addresses") { try AddressGuard(allowing: $0) }
    let secretKeys = settings.optional("secret-keys", Setting.secretKeys)
    guard let folder, let bindings, let callers, let key, let operations, settings.isGood else {
      throw settings.failure
    }
    configuration = .init(
      folder: folder, bindings: bindings, callers: callers,
      users: users, gateways: gateway.map { [$0] } ?? [],
      providers: ProviderKinds.all, audit: AuditDelivery(operations: operations, key: key),
      addresses: addresses ?? AddressGuard(), secretKeys: secretKeys ?? [])
    configuration.fronts = fronts
  }

  /// The gateway it hands out, where `gateway-url` names one.
  private static func gateway(_ settings: inout ServiceSettings) -> CloudsAPI.Gateway? {
    let url = settings.optional("gateway-url", Setting.text)
    let ca = settings.optional("gateway-ca", Setting.content)
    let key = settings.optional("gateway-key", Setting.publicKey)
    let certificate = settings.optional("gateway-certificate", Setting.content)
    guard let url else { return nil }
    guard let ca, let key else {
      settings.fault(
        "'gateway-url' is given without 'gateway-ca' or 'gateway-key'.",
        "Give the PEM of the CA that signed the gateway's certificate, and the file of its public key.")
      return nil
    }
    return .init(url: url, ca: ca, key: Base64URL.encode(key), certificate: certificate)
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) -> any Service {
    CloudsService(configuration, logger: logger, onRunning: onRunning)
  }
}
