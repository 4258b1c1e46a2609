import Fakes
import Foundation
import Logging
import Logs
import Machines
import ServiceKit
import ServiceLifecycle
import Synchronization
import Wire

@testable import Clouds

/// The real time, and what a test adds to it.
final class TestClock: Sendable {
  private let ahead = Mutex(0.0)
  /// Seconds since 1970.
  var now: Double { Date().timeIntervalSince1970 + ahead.withLock { $0 } }
  func advance(by seconds: Double) { ahead.withLock { $0 += seconds } }
}

/// The clouds service beside a fake cloud, both in this process but speaking HTTP, in a folder that is gone after.
struct CloudsHarness: Sendable {
  let folder: String
  let endpoint: String
  let key = AgentKey()
  let clock = TestClock()
  var pace = Reconciler.Pace(
    tick: 0.02, backoff: Backoff(base: 0.005, ceiling: 0.05), poll: 0.02, grace: 0.1, attempts: 30)

  /// Where targets may be, and what seals their secrets, as the settings have it.
  var addresses = "127.0.0.1"
  var secretKeys: [[UInt8]] = []

  static let canary = "canary-4711-secret"

  static func run(_ body: @escaping @Sendable (CloudsHarness) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "godwit-c-\(UUID().uuidString.prefix(8))"
    ).path
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await FakeCloud.whileServing(folder: folder + "/fake", secret: canary) { endpoint in
      try await body(CloudsHarness(folder: folder, endpoint: endpoint))
    }
  }

  var admin: FakeCloudAdmin { get throws { try FakeCloudAdmin(endpoint: endpoint) } }
  var provider: FakeProvider { get throws { try FakeProvider(endpoint: endpoint, secret: Self.canary) } }
  var socket: String { folder + "/clouds.sock" }

  /// Runs the service while `body` does, and ends it as a crash would: by cancelling it.
  func service(_ body: @escaping @Sendable (CloudsHarness) async throws -> Void) async throws {
    let (running, continuation) = AsyncStream.makeStream(of: Void.self)
    let service = CloudsService(
      .init(
        folder: folder + "/clouds", bindings: [.unix(path: socket)], callers: ["test": key.publicKey],
        gateways: [.init(url: "https://127.0.0.1:1", ca: "CA", key: "KEY")],
        providers: ["fake": { try FakeProvider(endpoint: $0, secret: $1).provider }],
        addresses: try AddressGuard(allowing: addresses), secretKeys: secretKeys),
      logger: Logger(label: "clouds") { JSONLogHandler(label: $0, level: .critical) }, pace: pace,
      now: { [clock] in clock.now }, onRunning: { _ in continuation.yield() })
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        do { try await service.run() } catch is CancellationError {}
        continuation.finish()
        return false
      }
      group.addTask {
        for await _ in running { break }
        try await body(self)
        return true
      }
      while let isBody = try await group.next(), !isBody {}
      group.cancelAll()
    }
  }

  func client(tenant: String = "t1") throws -> RESTClient {
    let issuer = ServiceTokenIssuer(name: "test", key: key)
    return try RESTClient(name: "clouds", endpoint: .unix(path: socket)) {
      "Bearer " + (try issuer.token(for: "clouds", tenant: tenant))
    }
  }

  func path(_ rest: String, tenant: String = "t1") -> String { "/v1/tenants/\(tenant)/\(rest)" }

  func addTarget(tenant: String = "t1") async throws {
    let wish = CloudsAPI.TargetWish(provider: "fake", endpoint: endpoint, secret: Self.canary)
    let target: CloudsAPI.Target = try await client(tenant: tenant).put(path("targets/fake", tenant: tenant), wish)
    precondition(target.hasSecret)
  }

  @discardableResult func volume(_ id: String, from snapshot: String? = nil, owner: String = "m1") async throws
    -> CloudsAPI.Volume
  {
    let wish = CloudsAPI.VolumeWish(target: "fake", size: 1 << 20, fromSnapshot: snapshot, owner: owner)
    return try await client().put(path("volumes/\(id)"), wish)
  }

  @discardableResult func snapshot(_ id: String, of volume: String, owner: String = "m1") async throws
    -> CloudsAPI.Snapshot
  {
    try await client().put(
      path("snapshots/\(id)"), CloudsAPI.SnapshotWish(target: "fake", volume: volume, owner: owner))
  }

  @discardableResult func machine(
    _ id: String, on volume: String, role: MachineWish.Role = .guest, expiresAt: Int? = nil
  ) async throws -> CloudsAPI.Machine {
    let shape = MachineWish(
      role: role, cpus: 1, memory: 256 << 20, firmware: .bios, volumes: [volume], network: .isolated,
      forwardedPorts: [22])
    let wish = CloudsAPI.MachineRequest(target: "fake", wish: shape, owner: "m1", expiresAt: expiresAt)
    return try await client().put(path("machines/\(id)"), wish)
  }

  /// Asks until `probe` gives a value, for 20 s.
  @discardableResult func wait<Value: Sendable>(
    for what: String, _ probe: @Sendable () async throws -> Value?
  ) async throws -> Value {
    let deadline = Date().addingTimeInterval(20)
    while Date() < deadline {
      if let value = try await probe() { return value }
      try await Task.sleep(for: .milliseconds(10))
    }
    let ledger = try await client().get(path("ledger"), as: [CloudsAPI.LedgerEntry].self)
    throw ConfigurationError("\(what) did not come; the ledger: \(ledger)", remedy: "")
  }

  func ready(_ kind: String, _ id: String) async throws {
    struct Seen: Decodable { var state: String }
    try await wait(for: "\(kind) \(id)") {
      let seen: Seen = try await client().get(path("\(kind)/\(id)"))
      return ["ready", "running", "stopped"].contains(seen.state) ? () : nil
    }
  }

  func emptyLedger() async throws {
    try await wait(for: "an empty ledger") {
      let rows: [CloudsAPI.LedgerEntry] = try await client().get(path("ledger"))
      return rows.isEmpty ? () : nil
    }
  }

  /// How many objects the cloud made, by the id it was given.
  func creations() async throws -> [String: Int] {
    let effects = try await admin.log().filter { $0.effect?.hasPrefix("created") == true }
    return Dictionary(effects.map { ($0.id, 1) }, uniquingKeysWith: +)
  }
}
