import Fakes
import Foundation
import Identity
import Licensing
import Logging
import Migration
import ServiceKit
import ServiceLifecycle
import Wire
import Workflows

@testable import Clouds

/// The migration and clouds services against a fake cloud, everything in one folder: what is killed and started again.
struct ControlPlane: Codable, Sendable {
  static let publicURL = "https://platform.test"
  var folder: String
  /// Of the fake cloud.
  var endpoint: String
  /// How agents reach the migration service; nobody listens there unless a test says so.
  var publicURL = Self.publicURL
  /// The gateway that agents are sent to; where none is named, one that only decides sessions, at `gatewayURL`.
  var gateway: CloudsAPI.Gateway?
  var gatewayURL = ""
  /// The CA's certificate on the migration service's key; without it no point has evidence.
  var enrolmentCertificate: String?
  /// Whether the identity service runs too, and its access tokens are taken.
  var hasIdentity = false
  /// Seats of the licence that a tenant is given to evaluate; without any no seats are counted.
  var evaluationSeats: Int?

  var migrationSocket: String { folder + "/migration.sock" }
  var cloudsSocket: String { folder + "/clouds.sock" }
  var identitySocket: String { folder + "/identity.sock" }
  var licensingSocket: String { folder + "/licensing.sock" }

  func key(_ name: String) throws -> AgentKey { try SigningKey.open(file: "\(folder)/\(name).key") }

  /// - Parameters:
  ///   - bindings: where the migration service listens besides its socket.
  ///   - now: seconds since 1970.
  ///   - providers: besides the fake cloud.
  func services(
    faults: FaultPoints = .none, bindings: [HTTPServer.Binding] = [],
    now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 },
    providers: [String: ProviderFactory] = [:]
  ) throws -> [any Service] {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (migration, front) = (try key("migration"), try key("front"))
    let handedOut =
      try self.gateway
      ?? CloudsAPI.Gateway(url: gatewayURL, ca: "", key: Base64URL.encode(try key("gateway").publicKey))
    let fake: ProviderFactory = { endpoint, secret in try FakeProvider(endpoint: endpoint, secret: secret).provider }
    let users = try hasIdentity ? AccessTokenVerifier(KeyDirectory.of(.unix(path: identitySocket))) : nil
    let clouds = CloudsService(
      .init(
        folder: folder + "/clouds", bindings: [.unix(path: cloudsSocket)],
        callers: ["migration": migration.publicKey, "front": front.publicKey], users: users, gateways: [handedOut],
        providers: providers.merging(["fake": fake]) { $1 }, addresses: try AddressGuard(allowing: "127.0.0.1")),
      logger: logger,
      pace: .init(tick: 0.05, backoff: Backoff(base: 0.02, ceiling: 0.2), poll: 0.04, grace: 0.05, attempts: 50),
      now: now, onRunning: { _ in })
    let service = try MigrationService(
      configuration: MigrationConfiguration(
        database: folder + "/migration.sqlite", key: migration, bindings: [.unix(path: migrationSocket)] + bindings,
        callers: ["front": front.publicKey], users: users, clouds: .unix(path: cloudsSocket),
        licensing: try evaluationSeats.map { _ in
          .init(endpoint: .unix(path: licensingSocket), keys: [try key("licence").publicKey])
        }, publicURL: publicURL,
        certificateAuthority: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        enrolmentCertificate: enrolmentCertificate, pollInterval: 0.05, settleInterval: 0.05, leaseSeconds: 0.5,
        agentSilence: 2,
        clock: WorkflowClock(now: { Date(timeIntervalSince1970: now()) }, sleep: WorkflowClock.system.sleep),
        faults: faults),
      logger: logger)
    return try [clouds, service] + (hasIdentity ? [identity(logger)] : [])
      + (evaluationSeats.map { [try licensing(seats: $0, users: users, now: now, logger)] } ?? [])
  }

  private func licensing(
    seats: Int, users: AccessTokenVerifier?, now: @escaping @Sendable () -> Double, _ logger: Logger
  ) throws -> LicensingService {
    try LicensingService(
      .init(
        folder: folder + "/licensing", key: try key("licence"), evaluation: .init(seats: seats, days: 30),
        bindings: [.unix(path: licensingSocket)],
        callers: ["migration": try key("migration").publicKey, "front": try key("front").publicKey], users: users,
        now: now), logger: logger)
  }

  /// The same, with a licensing service that gives each tenant so many seats.
  func licensed(_ seats: Int?) -> ControlPlane {
    var plane = self
    plane.evaluationSeats = seats
    return plane
  }

  var adminToken: AdminToken { get throws { try AdminToken.open(file: folder + "/admin.token") } }

  private func identity(_ logger: Logger) throws -> IdentityService {
    try IdentityService(
      configuration: .init(
        folder: folder + "/identity", bindings: [.unix(path: identitySocket)], bootstrap: try adminToken,
        passwordCost: IdentityHarness.cheap), logger: logger)
  }

  /// Runs until cancelled.
  func run(faults: FaultPoints = .none) async throws { try await run(services(faults: faults)) }

  func run(_ services: [any Service]) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
  }

  static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    (address.sin_family, address.sin_addr.s_addr) = (sa_family_t(AF_INET), UInt32(0x7F00_0001).bigEndian)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  /// Runs `body` beside a fake cloud in a process of its own, and beside a control plane unless that is run elsewhere.
  static func test<Value: Sendable>(
    running: Bool = true, _ body: @escaping @Sendable (ControlPlane, FakeCloudAdmin) async throws -> Value
  ) async throws -> Value {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await FakeCloudProcess.with(folder: folder) { endpoint in
      let plane = ControlPlane(folder: folder, endpoint: endpoint)
      for name in ["migration", "front", "gateway"] { _ = try plane.key(name) }
      return try await plane.test(running: running, body)
    }
  }

  private func test<Value: Sendable>(
    running: Bool, _ body: @escaping @Sendable (ControlPlane, FakeCloudAdmin) async throws -> Value
  ) async throws -> Value {
    let admin = try FakeCloudAdmin(endpoint: endpoint)
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    // The gateway's address is part of its proofs, so it is known before it listens.
    var plane = self
    plane.gatewayURL = "http://127.0.0.1:\(try Self.freePort())"
    let port = Int(plane.gatewayURL.split(separator: ":").last ?? "") ?? 0
    return try await HTTPServer.whileRunning(
      .tcp(host: "127.0.0.1", port: port, tls: nil), logger: logger,
      routes: { [plane] in DecidingGateway(plane: plane).add(to: $0) }
    ) { [plane] _ in
      guard running else { return try await body(plane, admin) }
      return try await plane.whileRunning(plane.services()) { try await body(plane, admin) }
    }
  }

  /// Runs services while `body` runs.
  func whileRunning<Value: Sendable>(
    _ services: [any Service], _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask {
        try await run(services)
        return nil
      }
      group.addTask { try await body() }
      defer { group.cancelAll() }
      while let value = try await group.next() {
        if let value { return value }
      }
      throw CancellationError()
    }
  }
}
