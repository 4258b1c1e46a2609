import Logging
import Migration
import ServiceKit
import ServiceLifecycle

/// The migration service from its settings.
struct MigrationHost {
  private var configuration: MigrationConfiguration

  init(_ given: ServiceSettings) throws {
    var settings = given
    let folder = settings.required("state", example: "/var/lib/godwit/migration", Setting.folder)
    let bindings = settings.bindings()
    let (key, keyFile) = (settings.signingKey(), settings.optional("key-file", Setting.file))
    let callers = settings.callers("front:/etc/godwit/front.key.pub")
    let (clouds, operations) = (settings.endpoint("clouds-url"), settings.endpoint("operations-url"))
    let (users, fronts) = (settings.users(), settings.fronts())
    let licensing = Self.licensing(&settings)
    let publicURL = settings.required("public-url", example: "https://godwit.example.com:8443") { text in
      guard case .web(let url, _) = try Setting.endpoint(text, ca: nil) else {
        throw ConfigurationError("Agents cannot reach '\(text)'.", remedy: "Give https://HOST:PORT.")
      }
      return url.hasSuffix("/") ? String(url.dropLast()) : url
    }
    let ca = settings.required("public-ca", example: "/etc/godwit/ca.pem", Setting.content)
    let certificate = settings.optional("enrolment-certificate", Setting.content)
    let agent = settings.optional("agent-binary", Setting.file)
    let lease = settings.optional("lease-seconds", Setting.seconds)
    guard let folder, let bindings, let key, let callers, let clouds, let operations, let publicURL, let ca,
      settings.isGood
    else { throw settings.failure }
    configuration = .init(
      database: folder + "/migration.sqlite", key: key, keyFile: keyFile, bindings: bindings, callers: callers,
      users: users, clouds: clouds, operations: operations, licensing: licensing,
      publicURL: publicURL, certificateAuthority: ca, enrolmentCertificate: certificate, agentBinary: agent,
      leaseSeconds: lease ?? 30)
    configuration.fronts = fronts
  }

  /// Who says which licences tenants have, where `licensing-url` names it.
  private static func licensing(_ settings: inout ServiceSettings) -> MigrationConfiguration.Licensing? {
    let ca = settings.optional("services-ca", Setting.content)
    let keys = settings.optional("licence-keys", Setting.publicKeys)
    guard let endpoint = settings.optional("licensing-url", { try Setting.endpoint($0, ca: ca) }) else { return nil }
    guard let keys else {
      settings.fault(
        "'licensing-url' is given without 'licence-keys'.",
        "Give the .pub file of the key that signs licences.")
      return nil
    }
    return .init(endpoint: endpoint, keys: keys)
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try MigrationService(configuration: configuration, logger: logger, onRunning: onRunning)
  }
}
