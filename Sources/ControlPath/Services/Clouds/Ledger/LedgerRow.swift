import Foundation
import GRDB
import Providers
import Wire

/// One cloud object: what was wished, durably before the provider heard of it, and what became of it. The row goes when
/// the provider has shown the object to be gone.
struct LedgerRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "object"
  typealias Kind = CloudsAPI.LedgerEntry.Kind

  enum State: String, Codable, Sendable {
    /// Written down; the provider may or may not have heard of it.
    case intended
    /// The provider knows it and works on it.
    case creating
    case ready
    case deleting
    case failed
  }

  var tenant: String
  var kind: Kind
  var id: String
  /// Its id at the provider: random, so that it never meets what remains of an earlier object.
  var key: String
  var target: String
  var owner: String
  /// The wish as JSON, and the tags fixed with it.
  var wish: Data
  var tags: Data
  /// False once it is to go.
  var wanted = true
  var state = State.intended
  /// The provider's last description, as JSON.
  var observed: Data?
  var problem: Data?
  var location: String?
  /// Attaching was begun; it must be ended before the volume goes.
  var attached = false
  /// A power action that is not carried out yet.
  var power: String?
  /// Seconds since 1970, like all times here.
  var createdAt: Double
  var expiresAt: Double?
  /// When the provider was first told to delete it.
  var deletedAt: Double?
  var attempts = 0
  var nextAt: Double

  var resource: ResourceID { ResourceID(rawValue: key) }
  var isDead: Bool { state == .failed && wanted }

  func decodedTags() throws -> Tags { try JSONDecoder().decode(Tags.self, from: tags) }
  func decodedWish<Wish: Decodable>(_ type: Wish.Type) throws -> Wish { try JSONDecoder().decode(type, from: wish) }
  func decodedObserved<Value: Decodable>(_ type: Value.Type) -> Value? {
    observed.flatMap { try? JSONDecoder().decode(type, from: $0) }
  }
  var decodedProblem: Problem? { problem.flatMap { try? JSONDecoder().decode(Problem.self, from: $0) } }

  static func encoded(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return try encoder.encode(value)
  }
}
