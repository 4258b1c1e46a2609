import Fakes
import Foundation
import ServiceKit
import Synchronization
import Wire

/// Every service as a process of its own, `godwit serve`, on loopback, against the fake cloud's own process.
final class ServedPlatform: Sendable {
  let plane: ControlPlane
  let ports: [String: Int]
  private let running = Mutex<[String: Served]>([:])

  static let services = ["identity", "operations", "licensing", "clouds", "migration", "front"]

  /// Writes keys and settings. The services also listen on the plane's sockets, so that its owners and agents find them.
  init(_ plane: ControlPlane) throws {
    self.plane = plane
    var ports: [String: Int] = [:]
    for service in Self.services { ports[service] = try ControlPlane.freePort() }
    self.ports = ports
    for name in ["front", "migration", "clouds", "operations", "licensing", "licence", "gateway", "identity"] {
      try SigningKey.publish(try plane.key(name), file: "\(plane.folder)/\(name).key")
    }
    _ = try AdminToken.open(file: plane.folder + "/admin.token")
    _ = try CertificateAuthority.open(folder: plane.folder + "/ca")
    for service in Self.services { try write(service, settings(service)) }
  }

  func url(_ service: String) -> String { "http://127.0.0.1:\(ports[service] ?? 0)" }

  func configuration(_ service: String) -> String { "\(plane.folder)/\(service).settings" }

  func write(_ service: String, _ settings: [String: String]) throws {
    let text = "# \(service)\n" + settings.map { "\($0.key) = \($0.value)\n" }.joined()
    try text.write(toFile: configuration(service), atomically: true, encoding: .utf8)
  }

  func settings(_ service: String) -> [String: String] {
    let folder = plane.folder
    let listen = "127.0.0.1:\(ports[service] ?? 0)"
    return switch service {
    case "identity":
      [
        "state": folder + "/identity", "listen": listen, "admin-token-file": folder + "/admin.token",
        "front-addresses": "127.0.0.1", "key-file": folder + "/identity.key", "operations-url": url("operations")
      ]
    case "operations":
      [
        "state": folder + "/operations", "listen": listen, "key-file": folder + "/operations.key",
        "identity-url": url("identity"),
        "callers": ["front", "migration", "clouds", "identity", "licensing"].map { "\($0):\(folder)/\($0).key.pub" }
          .joined(separator: ",")
      ]
    case "licensing":
      [
        "state": folder + "/licensing", "listen": listen, "key-file": folder + "/licensing.key",
        "licence-key": folder + "/licence.key", "operations-url": url("operations"), "identity-url": url("identity"),
        "callers": "front:\(folder)/front.key.pub, migration:\(folder)/migration.key.pub",
        "evaluation-seats": "2"
      ]
    case "clouds":
      [
        "key-file": folder + "/clouds.key", "operations-url": url("operations"), "front-addresses": "127.0.0.1",
        "state": folder + "/clouds", "listen": "\(listen), unix:\(plane.cloudsSocket)",
        "callers": "front:\(folder)/front.key.pub, migration:\(folder)/migration.key.pub",
        "gateway-url": plane.gatewayURL, "gateway-ca": folder + "/ca/ca.pem",
        "gateway-key": folder + "/gateway.key.pub",
        "identity-url": url("identity"), "target-addresses": "127.0.0.1"
      ]
    case "migration":
      [
        "state": folder + "/migration", "listen": "\(listen), unix:\(plane.migrationSocket)",
        "key-file": folder + "/migration.key", "callers": "front:\(folder)/front.key.pub", "clouds-url": url("clouds"),
        "operations-url": url("operations"), "identity-url": url("identity"),
        "front-addresses": "127.0.0.1", "public-url": plane.publicURL, "public-ca": folder + "/ca/ca.pem",
        "licensing-url": url("licensing"), "licence-keys": folder + "/licence.key.pub", "lease-seconds": "1"
      ]
    default:
      [
        "listen": listen, "key-file": folder + "/front.key", "admin-token-file": folder + "/admin.token",
        "clouds-url": url("clouds"), "migration-url": url("migration"), "operations-url": url("operations"),
        "identity-url": url("identity"), "licensing-url": url("licensing")
      ]
    }
  }

  /// Starts a service and waits until it accepts requests at every address.
  /// - Parameter name: of the process, where several run of one service.
  func start(_ service: String, as name: String? = nil, config: String? = nil) throws {
    let served = try Served(
      ["serve", service, "--config", config ?? configuration(service)], log: "\(plane.folder)/\(name ?? service).log")
    running.withLock { $0[name ?? service] = served }
    try served.isListening(
      addresses: try String(contentsOfFile: config ?? configuration(service), encoding: .utf8)
        .split(separator: "\n").first { $0.hasPrefix("listen") }?.split(separator: ",").count ?? 1)
  }

  /// Ends a service as a power cut would.
  func kill(_ name: String) { running.withLock { $0.removeValue(forKey: name) }?.end(SIGKILL) }

  /// SIGTERM; answers with the exit status.
  func stop(_ name: String) -> Int32? { running.withLock { $0.removeValue(forKey: name) }?.end(SIGTERM) }

  static func with<Value: Sendable>(
    _ body: @escaping @Sendable (ServedPlatform, FakeCloudAdmin) async throws -> Value
  ) async throws -> Value {
    try await ControlPlane.test(running: false) { plane, admin in
      let platform = try ServedPlatform(plane)
      defer { for service in platform.running.withLock({ Array($0.keys) }) { platform.kill(service) } }
      for service in services { try platform.start(service) }
      return try await body(platform, admin)
    }
  }
}

/// One process of the program `godwit`.
struct Served: Sendable {
  struct NotStarted: Error { var log: String }
  private let process: Process
  private let output: FileHandle
  private let log: String

  init(_ arguments: [String], log: String, environment: [String: String] = [:]) throws {
    self.log = log
    process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    // Foundation's children get a mask that blocks the signals that end them.
    process.arguments = ["--default-signal", SyncBench.program("godwit")] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    output = pipe.fileHandleForReading
    process.standardOutput = pipe
    if !FileManager.default.fileExists(atPath: log) { _ = FileManager.default.createFile(atPath: log, contents: nil) }
    let file = FileHandle(forWritingAtPath: log)
    try file?.seekToEnd()
    process.standardError = file
    try process.run()
  }

  /// What it writes first.
  func firstOutput() throws -> Data {
    let data = output.availableData
    guard !data.isEmpty else { throw NotStarted(log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "") }
    return data
  }

  func isListening(addresses: Int) throws {
    var lines = 0
    while lines < addresses {
      lines += try firstOutput().count { $0 == 0x0A }
    }
  }

  @discardableResult func end(_ signal: Int32) -> Int32 {
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Runs the program to its end.
  static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> (status: Int32, output: String)
  {
    let process = Process()
    process.executableURL = URL(filePath: SyncBench.program("godwit"))
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}
