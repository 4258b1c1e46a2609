import GRDB
import ServiceKit
import Wire

/// Who holds which seat. Each change is made in the transaction of what makes it necessary, so that no crash can part them,
/// and transactions of several processes come one after the other.
///
/// A source takes a seat of the licence that ends first and has one left, unless it holds one of a licence that is good
/// now. It comes back when the source's last migration ends and no machine was handed over; else it is spent.
struct SeatBook: Sendable {
  /// Seconds for which licences are believed that nobody confirms.
  static let grace = 72 * 3600
  /// Seconds by which a clock may be set back.
  static let clockTolerance = 300

  /// Public keys that sign licences.
  let keys: [[UInt8]]

  static func makeTables(_ db: GRDB.Database) throws {
    try db.create(table: "seat") { t in
      t.column("tenant", .text).notNull()
      t.column("source", .text).notNull()
      t.column("licence", .text).notNull().indexed()
      t.column("takenAt", .integer).notNull()
      t.column("spentAt", .integer)
      t.primaryKey(["tenant", "source", "licence"])
    }
    try db.create(table: "licenceCopy") { t in
      t.primaryKey("tenant", .text)
      t.column("licences", .text).notNull()
      t.column("confirmedAt", .integer).notNull()
    }
    try db.create(table: "licenceClock") { t in
      t.primaryKey("id", .integer).check { $0 == 1 }
      t.column("seen", .integer).notNull()
    }
  }

  /// Sees to it that a source holds a seat.
  /// - Throws: `Problem`: `licence_clock`, `licence_unconfirmed`, `licence_missing`, `licence_expired`,
  ///   `licence_exhausted`.
  func take(_ tenant: String, source: String, at now: Int, _ db: GRDB.Database) throws {
    try Self.see(now, db)
    guard let copy = try LicenceCopyRow.fetchOne(db, key: tenant) else { throw Problem.licenceUnconfirmed(since: nil) }
    guard now - copy.confirmedAt <= Self.grace else { throw Problem.licenceUnconfirmed(since: copy.confirmedAt) }
    let held = licences(of: copy)
    guard let last = held.max(by: { $0.exp < $1.exp }) else { throw Problem.licenceMissing(tenant) }
    // One issued later than now was issued by a clock that this one has fallen behind.
    guard held.allSatisfy({ $0.iat <= now + Self.clockTolerance }) else { throw Problem.licenceClock }
    // The clock that issued one may be a little ahead of this one.
    let good = held.filter { $0.nbf - Self.clockTolerance <= now && now < $0.exp }.sorted {
      ($0.exp, $0.id) < ($1.exp, $1.id)
    }
    guard !good.isEmpty else {
      throw now < last.nbf ? Problem.licenceEarly(last) : Problem.licenceExpired(last)
    }
    let taken = try SeatRow.filter(Column("tenant") == tenant && Column("source") == source).fetchAll(db)
    if taken.contains(where: { seat in good.contains { $0.id == seat.licence } }) { return }
    for licence in good where try Self.used(licence.id, tenant, db) < licence.seats {
      return try SeatRow(tenant: tenant, source: source, licence: licence.id, takenAt: now).insert(db)
    }
    throw Problem.licenceExhausted(good.reduce(0) { $0 + $1.seats })
  }

  /// A migration has ended. Machines that were handed over spend their source's seats; without one they come back when
  /// no other migration of the source goes on.
  static func settle(_ migration: MigrationRow, spent: Bool, at now: Int, _ db: GRDB.Database) throws {
    let unspent = SeatRow.filter(
      Column("tenant") == migration.tenant && Column("source") == migration.source && Column("spentAt") == nil)
    if spent {
      try unspent.updateAll(db, Column("spentAt").set(to: now))
      return
    }
    let others = MigrationRow.filter(
      Column("tenant") == migration.tenant && Column("source") == migration.source && Column("id") != migration.id
        && Column("state") != MigrationAPI.State.done.rawValue)
    if try others.fetchCount(db) == 0 { try unspent.deleteAll(db) }
  }

  /// Notes that the clock shows `now`.
  /// - Throws: `Problem` `licence_clock` where it showed a later time before.
  static func see(_ now: Int, _ db: GRDB.Database) throws {
    let seen = try Int.fetchOne(db, sql: "SELECT seen FROM licenceClock") ?? now
    guard now >= seen - clockTolerance else { throw Problem.licenceClock }
    try db.execute(sql: "INSERT OR REPLACE INTO licenceClock (id, seen) VALUES (1, ?)", arguments: [max(now, seen)])
  }

  /// The licences of a copy that are signed and the tenant's.
  func licences(of copy: LicenceCopyRow) -> [Licence] {
    copy.licences.compactMap { try? Licence($0, keys: keys) }.filter { $0.tenant == copy.tenant }
  }

  static func used(_ licence: String, _ tenant: String, _ db: GRDB.Database) throws -> Int {
    try SeatRow.filter(Column("tenant") == tenant && Column("licence") == licence).fetchCount(db)
  }
}
