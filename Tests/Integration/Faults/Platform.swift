import Fakes
import Foundation
import Gateway
import Glibc
import Logging
import Machines
import ServiceKit
import ServiceLifecycle
import Source
import Transport
import Volumes
import Wire

/// A whole platform on loopback: the migration service behind TLS, the clouds service with a fake cloud in a process of
/// its own, and a real gateway. What speaks to it is the agent's own code.
struct Platform: Sendable {
  let plane: ControlPlane
  let admin: FakeCloudAdmin
  let lab: GatewayLab
  let clock: TestClock
  /// `https://127.0.0.1:PORT` of the migration service.
  var url: String { plane.publicURL }
  var owner: Owner { Owner(plane: plane) }
  var connection: ConnectionSettings { ConnectionSettings(authority: lab.authority.certificatePEM) }

  /// - Parameters:
  ///   - open: opens the volumes of the gateway.
  ///   - gatewayIdentity: what the gateway shows instead of a certificate of the platform's CA.
  static func with<Value: Sendable>(
    open: @escaping VolumeOpener = Platform.openFake,
    gatewayIdentity: CertificateAuthority.ServerIdentity? = nil,
    _ body: @escaping @Sendable (Platform) async throws -> Value
  ) async throws -> Value {
    let lab = try GatewayLab()
    let identity = try lab.authority.server("service", hosts: ["127.0.0.1"])
    return try await ControlPlane.test(running: false) { plane, admin in
      let issuer = try plane.key("migration").publicKey
      let change: @Sendable (inout GatewaySettings) -> Void = { settings in
        settings.issuers.append(issuer)
        guard let gatewayIdentity else { return }
        settings.certificate = Array(gatewayIdentity.certificatePEM.utf8)
        settings.privateKey = Array(gatewayIdentity.privateKeyPEM.utf8)
      }
      return try await lab.withGateway(open: open, settings: change) { gateway in
        var plane = plane
        let port = try freePort()
        plane.publicURL = "https://127.0.0.1:\(port)"
        plane.gateway = .init(
          url: gateway.base, ca: lab.authority.certificatePEM, key: Base64URL.encode(gateway.publicKey),
          certificate: try lab.authority.signer(.gateway, publicKey: gateway.publicKey))
        plane.enrolmentCertificate = try lab.authority.signer(.enrolment, publicKey: issuer)
        let clock = TestClock()
        let platform = Platform(plane: plane, admin: admin, lab: lab, clock: clock)
        let services = try plane.services(
          bindings: [.tcp(host: "127.0.0.1", port: port, tls: try identity.tlsConfiguration())],
          now: { clock.now })
        return try await plane.whileRunning(services) {
          try await platform.isUp()
          return try await body(platform)
        }
      }
    }
  }

  /// The fake cloud names files `file:PATH`.
  static let openFake: VolumeOpener = { disk in
    try RawFile(path: String(disk.location.trimmingPrefix("file:")))
  }

  private func isUp() async throws {
    for _ in 0..<500 {
      do {
        _ = try await enrol(token: "gwe_nothing", connection: connection)
      } catch TransportError.refused {
        return
      } catch let error as TransportError where error.isTransient {
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    throw BenchFailure(what: "the migration service does not listen")
  }

  private static func freePort() throws -> Int {
    let probe = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(probe) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(probe, $0, length) == 0 && getsockname(probe, $0, &length) == 0
      }
    }
    guard bound else { throw BenchFailure(what: "no free port") }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  // MARK: Agents

  /// The agent's own enrolment of a machine with one disk.
  func enrol(
    token: String, connection: ConnectionSettings, disk: MachineDescription.Disk? = nil
  ) async throws -> Identity {
    var machine = SimulatedAgent.machine
    if let disk { machine.disks = [disk] }
    return try await Enrolment.enrol(server: url, connection: connection, token: token, machine: machine)
  }

  func token() async throws -> String {
    try await owner.post("enrolment-tokens", as: MigrationAPI.EnrolmentToken.self).token
  }

  /// Runs the agent's own service while `body` runs.
  func withAgent<Value: Sendable>(
    _ identity: Identity, _ machine: any SourceMachine, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let logger = Logger(label: "agent") { _ in SwiftLogNoOpLogHandler() }
    let agent = try AgentService(identity: identity, machine: machine, logger: logger, wait: 1)
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: agent, successTerminationBehavior: .gracefullyShutdownGroup)], logger: logger))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      let result: Result<Value, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
      return try result.get()
    }
  }

  /// A migration of an enrolled machine to the fake cloud, syncing when asked.
  func migration(
    of identity: Identity, limits: SyncCommand.Limits? = nil
  ) async throws -> MigrationAPI.Migration {
    let owner = owner
    _ = try await owner.insisting {
      try await owner.clouds.put(
        owner.path("targets/cloud"), CloudsAPI.TargetWish(provider: "fake", endpoint: plane.endpoint),
        as: CloudsAPI.Target.self)
    }
    return try await owner.post(
      "migrations",
      MigrationAPI.MigrationWish(
        name: "web", source: identity.credential.source, target: "cloud", retention: 3, limits: limits,
        key: "the-migration"))
  }

  /// Asks for a sync and waits for its end.
  func sync(_ migration: String, mode: SyncCommand.Mode? = nil) async throws -> MigrationAPI.Sync {
    let sync: MigrationAPI.Sync = try await owner.post(
      "migrations/\(migration)/syncs", MigrationAPI.SyncWish(mode: mode))
    return try await owner.until("syncs/\(sync.id)", as: MigrationAPI.Sync.self, seconds: 90) { $0.endedAt != nil }
  }

  /// The replica's file.
  func replica(_ migration: MigrationAPI.Migration) throws -> String {
    let folder = plane.folder + "/cloud/volumes"
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
    guard files.count == 1, let file = files.first else { throw BenchFailure(what: "volumes: \(files)") }
    return folder + "/" + file
  }
}
