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
  private let addresses: AddressGuard
  /// Providers made already, by tenant and target; forgotten when the target changes.
  private let made = Mutex<[[String]: Made]>([:])

  private struct Made {
    /// What it was made of.
    var row: Row
    /// Where the endpoint was, and until when that is believed.
    var place: String
    var until: ContinuousClock.Instant
    var provider: Provider
  }

  /// For which an address is taken for the one that a name still means.
  private static let patience = Duration.seconds(30)

  init(database: DatabasePool, box: SecretBox, factories: [String: ProviderFactory], addresses: AddressGuard) {
    (self.database, self.box, self.factories) = (database, box, factories)
    self.addresses = addresses
  }

  struct Row: Codable, Equatable, FetchableRecord, PersistableRecord {
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
    _ = try await addresses.pin(wish.endpoint)
    let sealed = try wish.secret.map { try box.seal($0, tenant: tenant, target: id) }
    let row = try await database.audited { database in
      let old = try Self.find(database, tenant, id)
      try precondition.check(old?.shown)
      let used = try Bool.fetchOne(
        database, sql: "SELECT 1 FROM object WHERE tenant = ? AND target = ?", arguments: [tenant, id])
      if let old, used != nil, old.provider != wish.provider {
        throw Problem.conflict("Target \(id) holds objects of provider \(old.provider).", remedy: "Add another target.")
      }
      // A secret goes to no other place than the one it was given for.
      if let old, sealed == nil, old.secret != nil, (old.provider, old.endpoint) != (wish.provider, wish.endpoint) {
        throw Problem(
          code: "secret_needed", status: 422, detail: "The secret of target \(id) was given for another address.",
          remedy: "Give 'secret' again together with the new address.")
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
    let known = made.withLock { $0[[tenant, id]] }
    if let known, known.until > .now { return known.provider }
    guard let row = try await database.read({ try Self.find($0, tenant, id) }) else {
      throw Problem.notFound("target \(id)")
    }
    guard let factory = factories[row.provider] else {
      throw ProviderError(.invalid, "this program has no provider '\(row.provider)'")
    }
    // Judged at each use: the settings, or what a name means, may have changed since the target was entered.
    let place = try await addresses.pin(row.endpoint)
    let provider =
      if let known, known.row == row, known.place == place { known.provider } else {
        try factory(place, try row.secret.map { try box.open($0, tenant: tenant, target: id) })
      }
    let made = Made(row: row, place: place, until: .now + Self.patience, provider: provider)
    self.made.withLock { $0[[tenant, id]] = made }
    return provider
  }

  private static func find(_ database: GRDB.Database, _ tenant: String, _ id: String) throws -> Row? {
    try Row.fetchOne(database, sql: "SELECT * FROM target WHERE tenant = ? AND id = ?", arguments: [tenant, id])
  }
}
