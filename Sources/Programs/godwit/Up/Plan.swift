import Foundation
import ServiceKit
import Wire

/// What `godwit up` starts, with every address decided: checked before anything is started.
struct Plan: Sendable {
  let folder: String
  let adminToken: AdminToken
  let caFile: String
  /// `https://HOST:PORT` as clients on this machine and as sources reach the platform; and the gateway as sources do.
  let localURL: String
  let publicURL: String
  let gatewayURL: String

  private let installation: Installation
  private let (host, port): (String, Int)
  private let (gatewayHost, gatewayPort): (String, Int)
  private let names: [String]
  private let appliance: String?
  private let agent: String?
  private let (withGateway, withHypervisor): (Bool, Bool)

  init(_ command: UpCommand, _ installation: Installation) throws {
    let front = try ListenAddress.parse(command.listen)
    let gateway = try ListenAddress.parse(command.gatewayListen)
    (host, gatewayHost) = (front.host, gateway.host)
    port = try installation.port("front", asked: front.port, host: front.host)
    gatewayPort = try installation.port("gateway", asked: gateway.port, host: gateway.host)
    let advertised = (command.advertise ?? front.host).split(separator: ",").map { $0.filter { $0 != " " } }
    guard let name = advertised.first else {
      throw ConfigurationError("--advertise names no host.", remedy: "Give a name or address that sources reach.")
    }
    var names: [String] = []
    for candidate in advertised + [front.host, gateway.host, "127.0.0.1", "localhost"] where !names.contains(candidate)
    {
      names.append(candidate)
    }
    self.names = names
    localURL = Self.url(["0.0.0.0", "::"].contains(front.host) ? "127.0.0.1" : front.host, port)
    (publicURL, gatewayURL) = (Self.url(name, port), Self.url(name, gatewayPort))
    (self.installation, folder) = (installation, installation.folder)
    (adminToken, caFile) = (installation.adminToken, installation.caFile)
    appliance = try command.appliance.map(Self.existing)
    agent = try command.agent.map(Self.existing)
    (withGateway, withHypervisor) = (!command.withoutGateway, !command.withoutHypervisor)
    if let appliance {
      for file in ["vmlinuz", "initramfs"] { _ = try Self.existing("\(appliance)/\(file)") }
    }
  }

  private static func url(_ host: String, _ port: Int) -> String {
    host.contains(":") ? "https://[\(host)]:\(port)" : "https://\(host):\(port)"
  }

  private static func existing(_ path: String) throws -> String {
    let path = URL(fileURLWithPath: path).standardizedFileURL.path
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw ConfigurationError("There is no \(path).", remedy: "Give the path of something that is there.")
    }
    return path
  }

  // MARK: Programs beside this one

  func companions() throws -> [Companion] {
    var companions: [Companion] = []
    if withHypervisor {
      var arguments = [
        "--state", folder + "/hypervisor", "--listen", "unix:" + hypervisorSocket, "--token-file",
        folder + "/keys/hypervisor.token"
      ]
      if let appliance {
        arguments += ["--appliance-kernel", appliance + "/vmlinuz", "--appliance-initramfs", appliance + "/initramfs"]
      }
      companions.append(Companion(name: "godwit-hypervisor", arguments: arguments, revision: "", folder: folder))
    }
    if withGateway {
      let identity = try installation.authority.server("gateway", hosts: names)
      let issuers = folder + "/keys/issuers"
      try PrivateFile.write(Array((Base64URL.encode(installation.migrationKey.publicKey) + "\n").utf8), to: issuers)
      companions.append(
        Companion(
          name: "godwit-gateway",
          arguments: [
            "--state", folder + "/gateway", "--listen", "\(gatewayHost):\(gatewayPort)", "--certificate",
            identity.certificateFile, "--private-key", identity.keyFile, "--issuer-key", issuers
          ], revision: identity.certificatePEM, folder: folder))
    }
    return companions
  }

  private var hypervisorSocket: String { installation.socket("hypervisor") }

  // MARK: Services

  /// The settings of a service, as `godwit serve` takes them from a file.
  func settings(of service: HostedService) throws -> ServiceSettings {
    let given =
      switch service {
      case .identity: identity()
      case .operations: operations()
      case .licensing: licensing()
      case .clouds: try clouds()
      case .migration: try migration()
      case .console: console()
      case .front: try front()
      }
    return ServiceSettings(service: service.rawValue, given)
  }

  private func unix(_ service: HostedService) -> String { "unix:" + installation.socket(service.rawValue) }

  /// The same, as the setting `listen` has it.
  private func listen(_ service: HostedService) -> String { Setting.listed(unix(service)) }

  private func callers(_ names: [String: String]) -> String {
    names.map { "\($0.key):" + Setting.listed($0.value + ".pub") }.joined(separator: ",")
  }

  private func identity() -> [String: String] {
    [
      "state": folder + "/identity", "listen": listen(.identity), "admin-token-file": installation.adminTokenFile,
      "key-file": installation.identityKeyFile, "operations-url": unix(.operations)
    ]
  }

  private func operations() -> [String: String] {
    [
      "state": folder + "/operations", "listen": listen(.operations), "key-file": installation.operationsKeyFile,
      "identity-url": unix(.identity),
      "callers": callers([
        "front": installation.frontKeyFile, "migration": installation.migrationKeyFile,
        "clouds": installation.cloudsKeyFile, "identity": installation.identityKeyFile,
        "licensing": installation.licensingKeyFile
      ])
    ]
  }

  /// Whoever tries the platform on one machine needs no licence of anybody's: each tenant is given one to evaluate it.
  private func licensing() -> [String: String] {
    let most = Licence.Edition.evaluation.most
    return [
      "state": folder + "/licensing", "listen": unix(.licensing), "key-file": installation.licensingKeyFile,
      "licence-key": installation.licenceKeyFile, "evaluation-seats": "\(most.seats)",
      "evaluation-days": "\(most.days)", "identity-url": unix(.identity), "operations-url": unix(.operations),
      "callers": callers(["migration": installation.migrationKeyFile, "front": installation.frontKeyFile])
    ]
  }

  private func clouds() throws -> [String: String] {
    var settings = [
      "state": folder + "/clouds", "listen": listen(.clouds), "key-file": installation.cloudsKeyFile,
      "identity-url": unix(.identity), "operations-url": unix(.operations),
      "callers": callers(["migration": installation.migrationKeyFile, "front": installation.frontKeyFile]),
      // The local cloud, also one that was started by hand.
      "target-addresses": "unix:\(hypervisorSocket), 127.0.0.0/8, ::1"
    ]
    guard withGateway else { return settings }
    _ = try installation.authority.signer(.gateway, publicKey: installation.gatewayKey.publicKey)
    settings["gateway-url"] = gatewayURL
    settings["gateway-ca"] = caFile
    settings["gateway-key"] = installation.gatewayKeyFile + ".pub"
    settings["gateway-certificate"] = installation.authority.signerFile(.gateway)
    return settings
  }

  private func migration() throws -> [String: String] {
    _ = try installation.authority.signer(.enrolment, publicKey: installation.migrationKey.publicKey)
    var settings = [
      "state": folder + "/migration", "listen": listen(.migration), "key-file": installation.migrationKeyFile,
      "callers": callers(["front": installation.frontKeyFile]), "clouds-url": unix(.clouds),
      "identity-url": unix(.identity), "operations-url": unix(.operations), "licensing-url": unix(.licensing),
      "licence-keys": installation.licenceKeyFile + ".pub", "public-url": publicURL,
      "public-ca": caFile, "enrolment-certificate": installation.authority.signerFile(.enrolment)
    ]
    settings["agent-binary"] = agent
    return settings
  }

  private func console() -> [String: String] {
    [
      "listen": unix(.console), "identity-url": unix(.identity), "migration-url": unix(.migration),
      "clouds-url": unix(.clouds), "operations-url": unix(.operations)
    ]
  }

  private func front() throws -> [String: String] {
    let identity = try installation.authority.server("front", hosts: names)
    return [
      "listen": "\(host.contains(":") ? "[\(host)]" : host):\(port)", "tls-certificate": identity.certificateFile,
      "tls-key": identity.keyFile, "key-file": installation.frontKeyFile,
      "admin-token-file": installation.adminTokenFile, "clouds-url": unix(.clouds), "migration-url": unix(.migration),
      "identity-url": unix(.identity), "operations-url": unix(.operations), "licensing-url": unix(.licensing),
      "console-url": unix(.console)
    ]
  }

  /// The tenant `default` gets the local cloud as its target `local`.
  func addLocalTarget() async throws {
    guard withHypervisor else { return }
    let issuer = ServiceTokenIssuer(name: "front", key: installation.frontKey)
    let client = try RESTClient(name: "clouds", endpoint: .unix(path: installation.socket("clouds"))) {
      "Bearer " + (try issuer.token(for: "clouds", tenant: "default"))
    }
    let wish = CloudsAPI.TargetWish(
      provider: "local", endpoint: "unix:" + hypervisorSocket, secret: installation.hypervisorToken.text)
    _ = try await client.put(
      RESTClient.path("v1", "tenants", "default", "targets", "local"), wish, as: CloudsAPI.Target.self)
  }
}
