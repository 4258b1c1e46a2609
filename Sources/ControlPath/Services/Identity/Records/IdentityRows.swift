import Crypto
import Foundation
import GRDB
import Wire

/// Rows that belong to a tenant: reached only with its id.
protocol TenantOwned: Codable, Sendable, FetchableRecord, PersistableRecord {
  var id: String { get }
  var tenant: String { get }
}

extension TenantOwned {
  static func find(_ tenant: String, _ id: String, _ db: Database) throws -> Self? {
    try filter(Column("tenant") == tenant && Column("id") == id).fetchOne(db)
  }

  static func remove(_ tenant: String, _ id: String, _ db: Database) throws -> Bool {
    try filter(Column("tenant") == tenant && Column("id") == id).deleteAll(db) == 1
  }
}

struct TenantRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "tenant"
  var id: String
  var name: String
  var createdAt: Int
  /// Nil: the usual ones.
  var limits: TenantLimits?
  var view: IdentityAPI.Tenant { .init(id: id, name: name, createdAt: createdAt) }
}

struct UserRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "user"
  var id: String
  /// In lower case.
  var email: String
  var name: String
  /// A `PasswordHash`.
  var password: String
  var platformRole: Role?
  var disabled: Bool
  var createdAt: Int
  var view: IdentityAPI.User {
    .init(id: id, email: email, name: name, platformRole: platformRole, disabled: disabled, createdAt: createdAt)
  }
}

struct MembershipRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "membership"
  var tenant: String
  var user: String
  var role: Role
  var since: Int

  static func find(_ tenant: String, user: String, _ db: Database) throws -> MembershipRecord? {
    try filter(Column("tenant") == tenant && Column("user") == user).fetchOne(db)
  }

  static func owners(_ tenant: String, _ db: Database) throws -> Int {
    try filter(Column("tenant") == tenant && Column("role") == Role.owner.rawValue).fetchCount(db)
  }
}

struct InvitationRecord: TenantOwned {
  static let databaseTableName = "invitation"
  var id: String
  var tenant: String
  var hash: String
  var email: String
  var role: Role
  var createdAt: Int
  var expiresAt: Int
  var acceptedBy: String?

  func view(token: String? = nil) -> IdentityAPI.Invitation {
    .init(
      id: id, email: email, role: role, createdAt: createdAt, expiresAt: expiresAt, acceptedBy: acceptedBy, token: token
    )
  }
}

struct SessionRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "session"
  var id: String
  var hash: String
  var user: String
  var createdAt: Int
  var expiresAt: Int
}

struct APITokenRecord: TenantOwned {
  static let databaseTableName = "apiToken"
  var id: String
  var tenant: String
  var hash: String
  var name: String
  var scopes: [Right]
  /// Nil: the platform administrator's.
  var user: String?
  var createdAt: Int
  var expiresAt: Int
  var lastUsedAt: Int?

  func view(token: String? = nil) -> IdentityAPI.APIToken {
    .init(
      id: id, name: name, scopes: scopes, user: user, createdAt: createdAt, expiresAt: expiresAt,
      lastUsedAt: lastUsedAt, token: token)
  }
}

struct SecondFactorRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "secondFactor"
  var user: String
  /// In hex, sealed.
  var secret: Data
  var isInForce: Bool
  /// The step of the last code that was taken.
  var lastStep: Int
  /// Hashes of recovery codes that were not used.
  var recovery: [String]
}

struct SigningKeyRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "signingKey"
  var kid: String
  /// 32 bytes, base64url.
  var publicKey: String
  var createdAt: Int
  var signsFrom: Int
  var view: IdentityAPI.SigningKey { .init(kid: kid, createdAt: createdAt, signsFrom: signsFrom) }
}

struct AttemptRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "attempt"
  var key: String
  var failures: Int
  var lastAt: Double
}

/// A secret as it is kept: SHA-256, hex. Enough for random text of 256 bits.
enum SecretHash {
  static func of(_ secret: String) -> String { Hex.encode(Array(SHA256.hash(data: Array(secret.utf8)))) }
}
