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

  var migrationSocket: String { folder + "/migration.sock" }
  var cloudsSocket: String { folder + "/clouds.sock" }

  func key(_ name: String) throws -> AgentKey { try SigningKey.open(file: "\(folder)/\(name).key") }

  func services(faults: FaultPoints) throws -> [any Service] {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (migration, front) = (try key("migration"), try key("front"))
    let gateway = CloudsAPI.Gateway(
      url: "https://gateway.test", ca: "", key: Base64URL.encode(try key("gateway").publicKey))
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
        settleInterval: 0.05, leaseSeconds: 1, faults: faults),
      logger: logger)
    return [clouds, service]
  }

  /// Runs until cancelled.
  func run(faults: FaultPoints = .none) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    try await ServiceGroup(configuration: .init(services: services(faults: faults), logger: logger)).run()
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
      let admin = try FakeCloudAdmin(endpoint: plane.endpoint)
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
