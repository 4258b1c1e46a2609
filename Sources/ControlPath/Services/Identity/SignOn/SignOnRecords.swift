import Foundation
import GRDB
import Wire

struct SignOnProviderRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "signOnProvider"
  var id: String
  var name: String
  var issuer: String
  var clientID: String
  /// Sealed.
  var clientSecret: Data
  var tenant: String
  var role: Role
  var redirectURIs: [String]
  var view: IdentityAPI.SignOnProvider {
    .init(
      id: id, name: name, issuer: issuer, clientID: clientID, tenant: tenant, role: role, redirectURIs: redirectURIs)
  }

  static func table(_ db: GRDB.Database) throws {
    try db.create(table: databaseTableName) { t in
      t.primaryKey("id", .text)
      t.column("name", .text).notNull()
      t.column("issuer", .text).notNull()
      t.column("clientID", .text).notNull()
      t.column("clientSecret", .blob).notNull()
      t.column("tenant", .text).notNull().references("tenant")
      t.column("role", .text).notNull()
      t.column("redirectURIs", .text).notNull()
    }
    try db.create(table: SignOnIdentityRecord.databaseTableName) { t in
      t.column("issuer", .text).notNull()
      t.column("subject", .text).notNull()
      t.column("user", .text).notNull().indexed().references("user")
      t.primaryKey(["issuer", "subject"])
    }
  }
}

/// Which user is meant by an issuer's subject: names and addresses may change there, this never does.
struct SignOnIdentityRecord: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "signOnIdentity"
  var issuer: String
  var subject: String
  var user: String
}
