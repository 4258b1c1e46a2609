import Blocks
import Foundation
import Gateway
import Logging
import NIOCore
import NIOPosix
import ServiceKit
import ServiceLifecycle
import Synchronization
import Transport
import Volumes
import Wire

/// A folder with a CA, the issuer's key, volumes and a gateway's state; outlives the gateways started on it.
final class GatewayLab: Sendable {
  let folder: String
  let authority: CertificateAuthority
  let identity: CertificateAuthority.ServerIdentity
  let issuer = AgentKey()
  /// Seconds since 1970, for gateways and grants; moved by tests.
  let clock = Mutex(Int(Date().timeIntervalSince1970))

  /// - Parameter place: where its folder goes.
  init(in place: String = NSTemporaryDirectory()) throws {
    folder = place + "/godwit-gateway-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    authority = try CertificateAuthority.open(folder: folder + "/ca")
    identity = try authority.server("gateway", hosts: ["127.0.0.1", "localhost"])
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { folder + "/" + name }

  /// A raw volume that reads as zeros, and its place in a grant.
  func volume(_ name: String, size: UInt64) throws -> SessionGrant.Disk {
    _ = try RawFile.create(path: path(name), size: size)
    return SessionGrant.Disk(volume: name, location: path(name), size: size)
  }

  /// The digits at the end of the session's name are its ordinal.
  func grant(
    session: String, disks: [SessionGrant.Disk], agent: AgentKey, tenant: String = "t1", migration: String = "m1",
    lasting seconds: Int = 3600
  ) -> SessionGrant {
    SessionGrant(
      tenant: tenant, migration: migration, session: session, ordinal: Self.ordinal(of: session), disks: disks,
      cnf: .init(jkt: agent.thumbprint), exp: clock.withLock { $0 } + seconds)
  }

  static func ordinal(of session: String) -> UInt64 {
    1 + (UInt64(String(session.reversed().prefix { $0.isNumber }.reversed())) ?? 0)
  }

  var settings: GatewaySettings {
    GatewaySettings(
      host: "127.0.0.1", port: 0, stateFolder: path("state"), issuers: [AgentKey().publicKey, issuer.publicKey],
      certificate: Array(identity.certificatePEM.utf8), privateKey: Array(identity.privateKeyPEM.utf8))
  }

  /// Runs a gateway while `body` lasts, then shuts it down gracefully.
  func withGateway<T: Sendable>(
    open: @escaping VolumeOpener = openVolume(_:), settings change: (inout GatewaySettings) -> Void = { _ in },
    _ body: @escaping @Sendable (RunningGateway) async throws -> T
  ) async throws -> T {
    var settings = settings
    change(&settings)
    var logger = Logger(label: "gateway")
    logger.logLevel = .critical
    let (ports, port) = AsyncStream.makeStream(of: Int.self)
    let gateway = try Gateway(
      settings: settings, openVolume: open, logger: logger, now: { [self] in clock.withLock { $0 } },
      onReady: { port.yield($0) })
    let group = ServiceGroup(configuration: .init(services: [gateway], logger: logger))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        defer { port.finish() }
        try await group.run()
      }
      guard let bound = await ports.first(where: { _ in true }) else {
        try await tasks.next()
        throw CancellationError()
      }
      let running = RunningGateway(lab: self, port: bound, publicKey: gateway.publicKey)
      let result: Result<T, any Error>
      do { result = .success(try await body(running)) } catch { result = .failure(error) }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
      return try result.get()
    }
  }
}

/// Where a gateway listens, and how to speak to it.
struct RunningGateway: Sendable {
  let lab: GatewayLab
  let port: Int
  let publicKey: [UInt8]

  var base: String { "https://127.0.0.1:\(port)" }

  /// Runs `body` with a client that signs with `agent`.
  /// - Parameter skew: seconds that its clock is ahead of the gateway's.
  func withClient<T: Sendable>(
    _ agent: AgentKey, connections: Int = 8, skew: @escaping @Sendable () -> Int = { 0 },
    _ body: @Sendable (SecureClient) async throws -> T
  ) async throws -> T {
    let client = try SecureClient(
      settings: ConnectionSettings(authority: lab.authority.certificatePEM), key: agent,
      group: MultiThreadedEventLoopGroup.singleton, connections: connections,
      now: { [lab] in lab.clock.withLock { $0 } + skew() })
    let result: Result<T, any Error>
    do { result = .success(try await body(client)) } catch { result = .failure(error) }
    try await client.shutdown()
    return try result.get()
  }

  /// Runs `body` as a source that was granted a session.
  func withSource<T: Sendable>(
    session: String, disks: [SessionGrant.Disk], agent: AgentKey = AgentKey(), tenant: String = "t1",
    migration: String = "m1", connections: Int = 8, _ body: @Sendable (TestSource) async throws -> T
  ) async throws -> T {
    let grant = lab.grant(session: session, disks: disks, agent: agent, tenant: tenant, migration: migration)
    let token = try CompactJWS.sign(grant, with: lab.issuer)
    return try await withClient(agent, connections: connections) { client in
      try await body(TestSource(client: client, base: base, session: session, token: token, agent: agent))
    }
  }

  /// Has the gateway decide a session, as the control plane does.
  func conclude(_ session: String, disks: [SessionGrant.Disk], retire: Bool = true) async throws -> ConcludeAnswer {
    let token = try CompactJWS.sign(lab.grant(session: session, disks: disks, agent: lab.issuer), with: lab.issuer)
    return try await withClient(lab.issuer) { client in
      let url = "\(base)/v1/sessions/\(session)/conclude?retire=\(retire ? 1 : 0)"
      let answer = try await client.send(.post, url, token: token)
      return try JSONDecoder().decode(ConcludeAnswer.self, from: Data(answer.body.readableBytesView))
    }
  }
}
