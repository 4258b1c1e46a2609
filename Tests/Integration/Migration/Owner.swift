import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit
import Synchronization
import Wire

/// A tenant's user: the REST API, and waiting for what was asked.
struct Owner: Sendable {
  struct TookTooLong: Error, CustomStringConvertible { var description: String }
  struct Nothing: Codable {}

  let plane: ControlPlane
  var tenant = "acme"

  private func client(_ service: String, _ socket: String) throws -> RESTClient {
    let issuer = ServiceTokenIssuer(name: "front", key: try plane.key("front"))
    return try RESTClient(name: service, endpoint: .unix(path: socket), timeout: .seconds(5)) {
      "Bearer " + (try issuer.token(for: service, tenant: tenant))
    }
  }

  var migration: RESTClient { get throws { try client("migration", plane.migrationSocket) } }
  var clouds: RESTClient { get throws { try client("clouds", plane.cloudsSocket) } }

  /// As the operator.
  var licensing: RESTClient {
    get throws {
      let issuer = ServiceTokenIssuer(name: "front", key: try plane.key("front"))
      return try RESTClient(name: "licensing", endpoint: .unix(path: plane.licensingSocket), timeout: .seconds(5)) {
        "Bearer " + (try issuer.token(for: "licensing", tenant: "*", subject: "admin"))
      }
    }
  }

  func path(_ rest: String) -> String { "/v1/tenants/\(tenant)/\(rest)" }

  func get<Value: Decodable>(_ rest: String, as type: Value.Type = Value.self) async throws -> Value {
    try await insisting { try await migration.get(path(rest)) }
  }

  func post<Value: Decodable>(
    _ rest: String, _ body: some Encodable & Sendable = Nothing(), as type: Value.Type = Value.self
  ) async throws -> Value {
    try await insisting { try await migration.post(path(rest), body) }
  }

  /// Repeats while the control plane is down.
  func insisting<Value>(_ body: () async throws -> Value) async throws -> Value {
    while true {
      do { return try await body() } catch let problem as Problem where [502, 503].contains(problem.status) {
        try await Task.sleep(for: .milliseconds(30))
      }
    }
  }

  /// Asks until something holds.
  func until<Value: Decodable>(
    _ rest: String, as type: Value.Type = Value.self, seconds: Double = 120, _ holds: (Value) -> Bool
  ) async throws -> Value {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      let value: Value = try await get(rest)
      if holds(value) { return value }
      if ContinuousClock.now > end { throw TookTooLong(description: "\(rest) stayed \(value)") }
      try await Task.sleep(for: .milliseconds(30))
    }
  }

  /// The target `cloud`, an enrolled agent, and a migration of its machine that syncs when asked.
  /// - Parameter target: where to, if not to the fake cloud.
  func begin(
    _ agent: SimulatedAgent, on target: CloudsAPI.TargetWish? = nil, schedule: Int? = nil, retention: Int = 2
  ) async throws -> MigrationAPI.Migration {
    let target = target ?? CloudsAPI.TargetWish(provider: "fake", endpoint: plane.endpoint)
    _ = try await insisting {
      try await clouds.put(path("targets/cloud"), target, as: CloudsAPI.Target.self)
    }
    let token: MigrationAPI.EnrolmentToken = try await post("enrolment-tokens")
    try await agent.enrol(token.token)
    return try await post(
      "migrations",
      MigrationAPI.MigrationWish(
        name: "web", source: agent.state.withLock { $0.source }, target: "cloud", schedule: schedule,
        retention: retention, key: "the-migration"))
  }

  /// Asks for something that can be under way only once; that it is already, after a lost answer, is fine.
  func order(_ rest: String, _ body: some Encodable & Sendable = Nothing()) async throws {
    do { _ = try await post(rest, body, as: MigrationAPI.Migration.self) } catch let problem as Problem
      where problem.status == 409
    {}
  }

  /// Asks for an end; that it is under way or over already is fine.
  func delete(_ rest: String) async throws {
    do { _ = try await insisting { try await migration.send(.DELETE, path(rest)) } } catch let problem as Problem
      where [404, 409].contains(problem.status)
    {}
  }

  func migration(_ id: String, until holds: (MigrationAPI.Migration) -> Bool) async throws -> MigrationAPI.Migration {
    try await until("migrations/\(id)", holds)
  }

  func sync(_ id: String) async throws {
    let sync: MigrationAPI.Sync = try await post("migrations/\(id)/syncs", MigrationAPI.SyncWish())
    _ = try await until("syncs/\(sync.id)", as: MigrationAPI.Sync.self) { $0.endedAt != nil }
  }

  func points(_ id: String) async throws -> [MigrationAPI.Point] {
    try await get("migrations/\(id)/points", as: MigrationAPI.Page<MigrationAPI.Point>.self).items
  }

  func ledger() async throws -> [CloudsAPI.LedgerEntry] { try await insisting { try await clouds.get(path("ledger")) } }

  func events(_ id: String) async throws -> [String] {
    try await get("migrations/\(id)/events?limit=200", as: MigrationAPI.Page<MigrationAPI.Event>.self).items.map(\.code)
  }
}
