import Foundation
import NIOCore
import NIOPosix
import ServiceKit
import Source
import Synchronization
import Transport
import Wire

/// A gateway as a process of its own, a replica as a raw file, and an agent's key: all in one folder that goes away.
final class SyncBench: Sendable {
  /// Where a gateway runs.
  struct Place: Sendable {
    var address = "127.0.0.1"
    /// What comes before the program.
    var prefix: [String] = []
  }

  let folder: String
  let size: UInt64
  let key = AgentKey()
  private let issuer = AgentKey()
  private let identity: CertificateAuthority.ServerIdentity
  private let authority: String
  private let gatewayArguments: [String]
  private let place: Place
  private let process = Mutex<(process: Process, port: Int)?>(nil)
  private let pool = NIOThreadPool(numberOfThreads: 4)

  var source: String { folder + "/source.raw" }
  var replica: String { folder + "/replica.raw" }

  /// - Parameters:
  ///   - size: bytes of the disk.
  ///   - gateway: further arguments of the gateway.
  static func with<Result>(
    size: UInt64, gateway: [String] = [], at place: Place = Place(), _ body: (SyncBench) async throws -> Result
  ) async throws -> Result {
    let bench = try SyncBench(size: size, gateway: gateway, place: place)
    do {
      try bench.startGateway()
      let result = try await body(bench)
      try await bench.end()
      return result
    } catch {
      try? await bench.end()
      throw error
    }
  }

  private init(size: UInt64, gateway: [String], place: Place) throws {
    (self.size, self.place, gatewayArguments) = (size, place, gateway)
    folder = LoopDisk.place + "/godwit-sync-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let authority = try CertificateAuthority.open(folder: folder + "/ca")
    identity = try authority.server("gateway", hosts: ["localhost"] + Set(["127.0.0.1", place.address]))
    self.authority = authority.certificatePEM
    try Data((Base64URL.encode(issuer.publicKey) + "\n").utf8).write(to: URL(filePath: folder + "/issuers"))
    for path in [source, replica] {
      _ = FileManager.default.createFile(atPath: path, contents: nil)
      guard truncate(path, off_t(size)) == 0 else { throw BenchFailure(what: "truncate \(path)") }
    }
    pool.start()
  }

  private func end() async throws {
    killGateway()
    try await pool.shutdownGracefully()
    try FileManager.default.removeItem(atPath: folder)
  }

  /// The program, as the build that holds these tests made it.
  static func program(_ name: String) -> String {
    var path = URL(filePath: #filePath)
    for _ in 0..<4 { path.deleteLastPathComponent() }
    return path.path + "/.build/debug/" + name
  }

  /// Starts a gateway, on the port of an earlier one if there was one.
  func startGateway(port: Int = 0) throws {
    let gateway = Process()
    gateway.executableURL = URL(filePath: "/usr/bin/env")
    gateway.arguments =
      place.prefix + [
        Self.program("godwit-gateway"), "--listen", "\(place.address):\(port)", "--state", folder + "/state",
        "--issuer-key", folder + "/issuers",
        "--certificate", identity.certificateFile, "--private-key", identity.keyFile
      ] + gatewayArguments
    let output = Pipe()
    gateway.standardOutput = output
    _ = FileManager.default.createFile(atPath: folder + "/gateway.log", contents: nil)
    gateway.standardError = FileHandle(forWritingAtPath: folder + "/gateway.log")
    try gateway.run()
    struct Line: Decodable { var port: Int }
    guard let line = try? JSONDecoder().decode(Line.self, from: output.fileHandleForReading.availableData) else {
      gateway.terminate()
      throw BenchFailure(what: "the gateway did not start: \(log)")
    }
    process.withLock { $0 = (gateway, line.port) }
  }

  var port: Int { process.withLock { $0?.port ?? 0 } }
  var log: String { (try? String(contentsOfFile: folder + "/gateway.log", encoding: .utf8)) ?? "" }

  /// Ends the gateway by SIGKILL.
  func killGateway() {
    guard let gateway = process.withLock({ $0?.process }), gateway.isRunning else { return }
    kill(gateway.processIdentifier, SIGKILL)
    gateway.waitUntilExit()
  }

  /// Empties the replica and what the gateway knows of it.
  func forgetReplica() throws {
    let port = port
    killGateway()
    try FileManager.default.removeItem(atPath: folder + "/state")
    guard truncate(replica, 0) == 0, truncate(replica, off_t(size)) == 0 else {
      throw BenchFailure(what: "truncate \(replica)")
    }
    try startGateway(port: port)
  }

  /// Keeps what the gateway holds, state and replica, as a backup would.
  func keepGateway() throws {
    for name in ["state", "replica.raw"] {
      try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(folder)/kept-\(name)")
    }
  }

  func putGatewayBack() throws {
    for name in ["state", "replica.raw"] {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      try FileManager.default.moveItem(atPath: "\(folder)/kept-\(name)", toPath: "\(folder)/\(name)")
    }
  }

  var connection: ConnectionSettings { ConnectionSettings(authority: authority) }

  func command(
    _ mode: SyncCommand.Mode, session: String, final: Bool = false, limits: SyncCommand.Limits = .init(),
    location: String? = nil, scrub: ScrubWindow? = nil, port: Int? = nil
  ) throws -> SyncCommand {
    SyncCommand(
      migration: "migration", session: session, mode: mode, final: final,
      gateway: "https://\(place.address):\(port ?? self.port)",
      grant: try CompactJWS.sign(grant(session, key: key, location: location, scrub: scrub), with: issuer),
      disks: ["file"], limits: limits, scrub: scrub)
  }

  /// Has the gateway decide a session, as the control plane does.
  func conclude(_ session: String, retire: Bool) async throws -> ConcludeAnswer {
    let grant = try CompactJWS.sign(grant(session, key: issuer), with: issuer)
    let client = try SecureClient(
      settings: connection, key: issuer, group: MultiThreadedEventLoopGroup.singleton, connections: 1)
    let path = "/v1/sessions/\(session)/conclude?retire=\(retire ? 1 : 0)"
    let answer = try await client.send(.post, "https://127.0.0.1:\(port)" + path, token: grant)
    try await client.shutdown()
    return try JSONDecoder().decode(ConcludeAnswer.self, from: Data(answer.body.readableBytesView))
  }

  private func grant(
    _ session: String, key: AgentKey, location: String? = nil, scrub: ScrubWindow? = nil
  ) -> SessionGrant {
    // The digits at the end of the session's name are its ordinal.
    SessionGrant(
      tenant: "tenant", migration: "migration", session: session, ordinal: UInt64(session.dropFirst()) ?? 0,
      disks: [.init(volume: "volume", location: location ?? replica, size: size)], cnf: .init(jkt: key.thumbprint),
      exp: Int(Date().timeIntervalSince1970) + 3600, scrub: scrub,
      written: (UInt64(session.dropFirst()) ?? 0) > 1)
  }

  /// An agent that has just started.
  /// - Parameter memory: what agents before it noted; nil where it remembers nothing.
  func runner(memory: String? = nil, patience: SyncPatience = SyncPatience()) -> SyncRunner {
    SyncRunner(
      connection: connection, key: key, group: MultiThreadedEventLoopGroup.singleton, pool: pool, memory: memory,
      patience: patience)
  }

  /// Whether source and replica hold the same bytes.
  func isEqual() throws -> Bool {
    let first = try FileHandle(forReadingFrom: URL(filePath: source))
    let second = try FileHandle(forReadingFrom: URL(filePath: replica))
    while true {
      let (a, b) = (try first.read(upToCount: 1 << 20) ?? Data(), try second.read(upToCount: 1 << 20) ?? Data())
      if a != b { return false }
      if a.isEmpty { return true }
    }
  }
}

struct BenchFailure: Error, CustomStringConvertible {
  var what: String
  var description: String { what }
}
