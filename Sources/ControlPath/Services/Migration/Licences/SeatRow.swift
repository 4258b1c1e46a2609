import GRDB
import Wire

/// A seat: one machine of one licence. That there is one for each is the table's key.
struct SeatRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "seat"
  var tenant: String
  var source: String
  var licence: String
  var takenAt: Int
  /// A machine that was moved and handed over: the seat does not come back.
  var spentAt: Int?

  var view: LicensingAPI.Seats.Seat { .init(source: source, licence: licence, takenAt: takenAt, spentAt: spentAt) }
}

/// What the licensing service last said of a tenant: what is gone by while it is away.
struct LicenceCopyRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "licenceCopy"
  var tenant: String
  /// Signed licences that are not revoked.
  var licences: [String]
  var confirmedAt: Int
}
