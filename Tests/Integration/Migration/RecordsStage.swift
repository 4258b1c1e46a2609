import Fakes
import Foundation
import Gateway
import ServiceKit
import Source
import Testing
import Transport
import Wire

/// Services, a gateway, an agent's machine and a fake cloud over one folder: what is run several times while records
/// are put back to an earlier state.
struct RecordsStage: Sendable {
  let platform: Platform
  let port: Int
  let identity: CertificateAuthority.ServerIdentity
  let source: String
  private static let records = ["migration.sqlite", "migration.sqlite-wal", "migration.sqlite-shm", "clouds"]

  /// Runs the services until `body` has ended, and then ends them as a crash would.
  func whileRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let clock = platform.clock
    let services = try platform.plane.services(
      bindings: [.tcp(host: "127.0.0.1", port: port, tls: try identity.tlsConfiguration())], now: { clock.now })
    return try await platform.plane.whileRunning(services) {
      _ = try await platform.owner.get("migrations", as: MigrationAPI.Page<MigrationAPI.Migration>.self)
      return try await body()
    }
  }

  func keep() async throws { try await copy(from: "", to: "/kept") }
  /// - Parameter folder: below the plane's, with the records.
  func putBack(from folder: String = "/kept") async throws { try await copy(from: folder, to: "") }

  /// Services that were ended let go of their databases a little later.
  private func isInUse(_ folder: String) -> Bool {
    let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return open.contains { name in
      let file = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
      return Self.records.contains { file?.hasPrefix("\(folder)/\($0)") == true }
    }
  }

  private func copy(from: String, to: String) async throws {
    let (files, folder) = (FileManager.default, platform.plane.folder)
    for _ in 0..<500 where isInUse(folder) { try await Task.sleep(for: .milliseconds(20)) }
    try #require(!isInUse(folder), "a database is still open")
    try files.createDirectory(atPath: folder + to, withIntermediateDirectories: true)
    for name in Self.records {
      try? files.removeItem(atPath: "\(folder)\(to)/\(name)")
      if files.fileExists(atPath: "\(folder)\(from)/\(name)") {
        try files.copyItem(atPath: "\(folder)\(from)/\(name)", toPath: "\(folder)\(to)/\(name)")
      }
    }
  }

  static func with(_ body: @escaping @Sendable (RecordsStage) async throws -> Void) async throws {
    let lab = try GatewayLab()
    let identity = try lab.authority.server("service", hosts: ["127.0.0.1"])
    try await ControlPlane.test(running: false) { plane, admin in
      let issuer = try plane.key("migration").publicKey
      try await lab.withGateway(open: Platform.openFake, settings: { $0.issuers.append(issuer) }) { gateway in
        var plane = plane
        let port = try ControlPlane.freePort()
        plane.publicURL = "https://127.0.0.1:\(port)"
        plane.gateway = .init(
          url: gateway.base, ca: lab.authority.certificatePEM, key: Base64URL.encode(gateway.publicKey))
        let source = plane.folder + "/source.raw"
        _ = FileManager.default.createFile(atPath: source, contents: Data(count: 4 << 20))
        try await body(
          RecordsStage(
            platform: Platform(plane: plane, admin: admin, lab: lab, clock: TestClock()), port: port,
            identity: identity, source: source))
      }
    }
  }

  func enrol() async throws -> Identity {
    let token = try await platform.token()
    for _ in 0..<200 {
      do {
        return try await platform.enrol(
          token: token, connection: platform.connection, disk: OneDiskMachine.disk("file", size: 4 << 20))
      } catch let error as TransportError where error.isTransient { try await Task.sleep(for: .milliseconds(20)) }
    }
    throw BenchFailure(what: "the migration service does not listen")
  }
}
