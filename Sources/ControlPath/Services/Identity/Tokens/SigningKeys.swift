import Foundation
import GRDB
import Glibc
import ServiceKit
import Wire

/// The keys that sign access tokens. A new one is published before it signs, and an old one stays published until nothing
/// that it signed is good any more: nobody meets a key he cannot know.
struct SigningKeys: Sendable {
  /// Seconds for which a key signs.
  static let period = 30 * 86_400
  /// Seconds for which a key is published before it signs, and after its successor does.
  static let overlap = 2 * Int(KeyDirectory.lead)

  private let database: IdentityDatabase
  private let folder: String
  private let auditor: Auditor
  private let now: @Sendable () -> Int

  /// Makes the first key where there is none.
  init(database: IdentityDatabase, folder: String, auditor: Auditor, now: @escaping @Sendable () -> Int) throws {
    (self.database, self.folder, self.auditor, self.now) = (database, folder, auditor, now)
    try PrivateFile.makeFolder(folder)
    let time = now()
    try database.pool.write { db in
      if try SigningKeyRecord.fetchCount(db) == 0 { _ = try add(signsFrom: time, db) }
    }
  }

  private func file(_ kid: String) -> String { "\(folder)/\(kid).key" }

  /// The private half is durable before the public one is known.
  private func add(signsFrom: Int, _ db: GRDB.Database) throws -> SigningKeyRecord {
    let key = AgentKey()
    try PrivateFile.write(key.rawRepresentation, to: file(key.thumbprint))
    let row = SigningKeyRecord(
      kid: key.thumbprint, publicKey: Base64URL.encode(key.publicKey), createdAt: now(), signsFrom: signsFrom)
    try row.insert(db)
    return row
  }

  /// Has a new key sign from `overlap` seconds on; one that waits already is answered instead.
  func rotate() async throws -> SigningKeyRecord {
    let time = now()
    return try await database.pool.audited { db in
      if let waiting = try Self.rows(db).last, waiting.signsFrom > time { return waiting }
      return try add(signsFrom: time + Self.overlap, db)
    }
  }

  /// The key that signs now, and its name.
  func current() async throws -> (kid: String, key: AgentKey) {
    let time = now()
    let rows = try await database.pool.read { try Self.rows($0) }
    guard let row = rows.last(where: { $0.signsFrom <= time }) else {
      throw ConfigurationError(
        "There is no signing key in use.", remedy: "Check the clock; restore the identity service's folder.")
    }
    if time - row.signsFrom > Self.period, rows.last?.kid == row.kid { try await follow(row) }
    guard let bytes = try PrivateFile.read(file(row.kid)) else {
      throw ConfigurationError(
        "The signing key \(row.kid) has lost its private half.", remedy: "Restore the identity service's folder.")
    }
    return (row.kid, try AgentKey(rawRepresentation: bytes))
  }

  /// Has a new key sign after one whose period is over; several who notice it at once make one.
  private func follow(_ last: SigningKeyRecord) async throws {
    let time = now()
    try await database.pool.write { db in
      guard try Self.rows(db).last?.kid == last.kid else { return }
      let row = try add(signsFrom: time + Self.overlap, db)
      try auditor.note("rotate signing keys", object: "signing key \(row.kid)", db)
    }
  }

  /// Oldest first; keys whose time is over are removed.
  func published() async throws -> [SigningKeyRecord] {
    let time = now()
    let rows = try await database.pool.read { try Self.rows($0) }
    let over = zip(rows, rows.dropFirst()).filter { $1.signsFrom + Self.overlap < time }.map(\.0)
    guard !over.isEmpty else { return rows }
    try await database.pool.write { db in
      for row in over { try row.delete(db) }
    }
    for row in over { unlink(file(row.kid)) }
    return rows.filter { row in !over.contains { $0.kid == row.kid } }
  }

  func keySet() async throws -> KeySet {
    let keys = try await published().compactMap { Base64URL.decode($0.publicKey).map(KeySet.Key.init(publicKey:)) }
    let time = now()
    return KeySet(keys: keys, revoked: try await database.pool.read { try Revocation.recent(at: time, $0) })
  }

  private static func rows(_ db: GRDB.Database) throws -> [SigningKeyRecord] {
    try SigningKeyRecord.order(Column("signsFrom"), Column("createdAt")).fetchAll(db)
  }
}
