import Fakes
import Foundation
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
  /// Of the gateway.
  var gatewayURL = ""

  var migrationSocket: String { folder + "/migration.sock" }
  var cloudsSocket: String { folder + "/clouds.sock" }

  func key(_ name: String) throws -> AgentKey { try SigningKey.open(file: "\(folder)/\(name).key") }

  func services(faults: FaultPoints) throws -> [any Service] {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (migration, front) = (try key("migration"), try key("front"))
    let gateway = CloudsAPI.Gateway(
      url: gatewayURL, ca: "", key: Base64URL.encode(try key("gateway").publicKey))
    let clouds = CloudsService(
      .init(
        folder: folder + "/clouds", socket: cloudsSocket,
        callers: ["migration": migration.publicKey, "front": front.publicKey], gateways: [gateway],
        providers: ["fake": { endpoint, secret in try FakeProvider(endpoint: endpoint, secret: secret).provider }]),
      logger: logger,
      pace: .init(tick: 0.05, backoff: Backoff(base: 0.02, ceiling: 0.2), poll: 0.04, grace: 0.05, attempts: 50),
      now: { Date().timeIntervalSince1970 }, onRunning: {})
    let service = try MigrationService(
      configuration: MigrationConfiguration(
        database: folder + "/migration.sqlite", key: migration, bindings: [.unix(path: migrationSocket)],
        callers: ["front": front.publicKey], clouds: .unix(path: cloudsSocket), publicURL: Self.publicURL,
        certificateAuthority: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", pollInterval: 0.05,
        settleInterval: 0.05, leaseSeconds: 1, agentSilence: 2, faults: faults),
      logger: logger)
    return [clouds, service]
  }

  /// Runs until cancelled.
  func run(faults: FaultPoints = .none) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    try await ServiceGroup(configuration: .init(services: services(faults: faults), logger: logger)).run()
  }

  private static func freePort() throws -> Int {
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

  /// Runs `body` beside a fake cloud, and beside a control plane unless that is run elsewhere.
  static func test<Value: Sendable>(
    running: Bool = true, _ body: @escaping @Sendable (ControlPlane, FakeCloudAdmin) async throws -> Value
  ) async throws -> Value {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let cloud = try FakeCloud(folder: folder + "/cloud")
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let routes = FakeCloudRoutes(cloud, secret: nil)
    return try await HTTPServer.whileRunning(
      .tcp(host: "127.0.0.1", port: 0, tls: nil), logger: logger, routes: { routes.add(to: $0) }
    ) { place in
      guard case .tcp(_, let port) = place else { throw CancellationError() }
      let plane = ControlPlane(folder: folder, endpoint: "http://127.0.0.1:\(port)")
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
      return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
          try await plane.run()
          return nil
        }
        group.addTask { try await body(plane, admin) }
        defer { group.cancelAll() }
        while let value = try await group.next() {
          if let value { return value }
        }
        throw CancellationError()
      }
    }
  }
}
