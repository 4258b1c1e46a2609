import Foundation
import GRDB
public import Providers
import ServiceKit
import Synchronization
import Wire

/// Makes a provider of the given kind. Kinds and their factories are wired by the program.
public typealias ProviderFactory = @Sendable (_ endpoint: String, _ secret: String?) throws -> Provider

/// The tenants' accounts in clouds.
final class Targets: Sendable {
  private let database: DatabasePool
  private let box: SecretBox
  private let factories: [String: ProviderFactory]
  /// Providers made already, by tenant and target; forgotten when the target changes.
  private let made = Mutex<[[String]: Provider]>([:])

  init(database: DatabasePool, box: SecretBox, factories: [String: ProviderFactory]) {
    (self.database, self.box, self.factories) = (database, box, factories)
  }

  struct Row: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "target"
    var tenant: String
    var id: String
    var provider: String
    var endpoint: String
    var secret: Data?
    var shown: CloudsAPI.Target {
      .init(id: id, provider: provider, endpoint: endpoint, hasSecret: secret != nil)
    }
  }

  /// Adds or changes a target. Its provider stays what it was as long as objects lie there; a secret left out is kept.
  func put(_ wish: CloudsAPI.TargetWish, tenant: String, id: String, _ precondition: Precondition) async throws
    -> CloudsAPI.Target
  {
    guard factories[wish.provider] != nil else {
      throw Problem(
        code: "unknown_provider", status: 422, detail: "There is no provider '\(wish.provider)'.",
        remedy: "Use one of: \(factories.keys.sorted().joined(separator: ", ")).")
    }
    try Self.check(endpoint: wish.endpoint)
    let sealed = try wish.secret.map { try box.seal($0, tenant: tenant, target: id) }
    let row = try await database.audited { database in
      let old = try Self.find(database, tenant, id)
      try precondition.check(old?.shown)
      let used = try Bool.fetchOne(
        database, sql: "SELECT 1 FROM object WHERE tenant = ? AND target = ?", arguments: [tenant, id])
      if let old, used != nil, old.provider != wish.provider {
        throw Problem.conflict("Target \(id) holds objects of provider \(old.provider).", remedy: "Add another target.")
      }
      let row = Row(
        tenant: tenant, id: id, provider: wish.provider, endpoint: wish.endpoint, secret: sealed ?? old?.secret)
      try row.save(database)
      return row
    }
    made.withLock { $0[[tenant, id]] = nil }
    return row.shown
  }

  func get(tenant: String, id: String) async throws -> CloudsAPI.Target {
    guard let row = try await database.read({ try Self.find($0, tenant, id) }) else {
      throw Problem.notFound("target \(id)")
    }
    return row.shown
  }

  func list(tenant: String) async throws -> [CloudsAPI.Target] {
    try await database.read {
      try Row.fetchAll($0, sql: "SELECT * FROM target WHERE tenant = ? ORDER BY id", arguments: [tenant])
    }.map(\.shown)
  }

  func delete(tenant: String, id: String) async throws {
    try await database.audited { database in
      let used = try Bool.fetchOne(
        database, sql: "SELECT 1 FROM object WHERE tenant = ? AND target = ?", arguments: [tenant, id])
      guard used == nil else {
        throw Problem.conflict("Target \(id) still holds objects.", remedy: "See the ledger; remove them first.")
      }
      try database.execute(sql: "DELETE FROM target WHERE tenant = ? AND id = ?", arguments: [tenant, id])
      guard database.changesCount == 1 else { throw Problem.notFound("target \(id)") }
    }
    made.withLock { $0[[tenant, id]] = nil }
  }

  /// The target as the platform uses it.
  func provider(tenant: String, id: String) async throws -> Provider {
    if let known = made.withLock({ $0[[tenant, id]] }) { return known }
    guard let row = try await database.read({ try Self.find($0, tenant, id) }) else {
      throw Problem.notFound("target \(id)")
    }
    guard let factory = factories[row.provider] else {
      throw ProviderError(.invalid, "this program has no provider '\(row.provider)'")
    }
    let provider = try factory(row.endpoint, try row.secret.map { try box.open($0, tenant: tenant, target: id) })
    made.withLock { $0[[tenant, id]] = provider }
    return provider
  }

  private static func find(_ database: GRDB.Database, _ tenant: String, _ id: String) throws -> Row? {
    try Row.fetchOne(database, sql: "SELECT * FROM target WHERE tenant = ? AND id = ?", arguments: [tenant, id])
  }

  /// Both kinds of provider there are lie on this machine; an endpoint elsewhere would let a tenant make this service
  /// talk to whatever it reaches.
  static func check(endpoint: String) throws {
    let refused = Problem(
      code: "endpoint_refused", status: 422, detail: "The endpoint '\(endpoint)' is not on this machine.",
      remedy: "Give unix:/PATH or http://127.0.0.1:PORT.")
    if endpoint.hasPrefix("unix:/") { return }
    guard let url = URL(string: endpoint), url.scheme == "http", url.user == nil,
      let host = url.host, ["127.0.0.1", "[::1]", "::1"].contains(host), url.port != nil,
      url.path.isEmpty || url.path == "/", url.query == nil
    else { throw refused }
  }
}
