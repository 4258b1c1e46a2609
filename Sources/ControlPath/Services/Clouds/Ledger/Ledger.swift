import Foundation
import GRDB
import Machines
import ServiceKit
import Wire

/// The resource ledger. Nothing reads or writes an object without naming its tenant; only the reconciler sees all.
struct Ledger: Sendable {
  let database: DatabasePool
  let now: @Sendable () -> Double

  /// Identifies this installation in tags, so that two that share an account do not report each other's objects.
  func installation() async throws -> String {
    try await database.write { database in
      if let id = try String.fetchOne(database, sql: "SELECT id FROM installation") { return id }
      let id = Self.randomKey("gw")
      try database.execute(sql: "INSERT INTO installation (id) VALUES (?)", arguments: [id])
      return id
    }
  }

  static func randomKey(_ prefix: String) -> String {
    prefix + "-" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
      + String(UInt64.random(in: 0...UInt64.max), radix: 36)
  }

  /// Writes down a wish. A row of the same id with the same wish is answered as it is, with its expiry brought to the new
  /// one; any other is `conflict`.
  /// - Parameter depends: checked in the same transaction; throws a `Problem` where what the wish builds on is missing.
  func intend(
    _ kind: LedgerRow.Kind, tenant: String, id: String, target: String, owner: String, wish: some Encodable & Sendable,
    expiresAt: Int?, installation: String, depends: @escaping @Sendable (GRDB.Database) throws -> Void
  ) async throws -> LedgerRow {
    let encoded = try LedgerRow.encoded(wish)
    let time = now()
    return try await database.audited { database in
      if var row = try Self.find(database, kind, tenant, id) {
        guard row.wanted else {
          throw Problem.conflict("\(kind.rawValue) \(id) is being deleted.", remedy: "Try again once it is gone.")
        }
        guard row.wish == encoded, row.target == target, row.owner == owner else {
          throw Problem.conflict("\(kind.rawValue) \(id) exists with another wish.", remedy: "Use another id.")
        }
        row.expiresAt = expiresAt.map(Double.init)
        try row.update(database)
        return row
      }
      let known = try Bool.fetchOne(
        database, sql: "SELECT 1 FROM target WHERE tenant = ? AND id = ?", arguments: [tenant, target])
      guard known != nil else { throw Problem.notFound("target \(target)") }
      try depends(database)
      var tags = ["godwit-installation": installation, "godwit-tenant": tenant, "godwit-owner": owner, "godwit-id": id]
      if let expiresAt { tags["godwit-expires"] = String(expiresAt) }
      let row = LedgerRow(
        tenant: tenant, kind: kind, id: id, key: Self.randomKey(String(kind.rawValue.prefix(1))), target: target,
        owner: owner, wish: encoded, tags: try LedgerRow.encoded(tags), createdAt: time,
        expiresAt: expiresAt.map(Double.init), nextAt: time)
      try row.insert(database)
      return row
    }
  }

  static func find(_ database: GRDB.Database, _ kind: LedgerRow.Kind, _ tenant: String, _ id: String) throws
    -> LedgerRow?
  {
    try LedgerRow.fetchOne(
      database, sql: "SELECT * FROM object WHERE tenant = ? AND kind = ? AND id = ?",
      arguments: [tenant, kind.rawValue, id])
  }

  func find(_ kind: LedgerRow.Kind, tenant: String, id: String) async throws -> LedgerRow? {
    try await database.read { try Self.find($0, kind, tenant, id) }
  }

  /// - Throws: `not_found`.
  func get(_ kind: LedgerRow.Kind, tenant: String, id: String) async throws -> LedgerRow {
    guard let row = try await find(kind, tenant: tenant, id: id) else {
      throw Problem.notFound("\(kind.rawValue) \(id)")
    }
    return row
  }

  func rows(tenant: String, owner: String? = nil) async throws -> [LedgerRow] {
    try await database.read { database in
      try LedgerRow.fetchAll(
        database, sql: "SELECT * FROM object WHERE tenant = ? AND (? IS NULL OR owner = ?) ORDER BY createdAt, id",
        arguments: [tenant, owner, owner])
    }
  }

  /// Marks an object to go. Nothing wanted may depend on it.
  /// - Throws: `not_found`, `in_use`.
  func release(_ kind: LedgerRow.Kind, tenant: String, id: String) async throws {
    let time = now()
    try await database.audited { database in
      guard var row = try Self.find(database, kind, tenant, id) else {
        throw Problem.notFound("\(kind.rawValue) \(id)")
      }
      guard row.wanted else { return }
      if let user = try Self.dependent(on: row, database) {
        throw Problem(
          code: "in_use", status: 409, detail: "\(kind.rawValue) \(id) is used by \(user).",
          remedy: "Remove that first.")
      }
      (row.wanted, row.nextAt, row.attempts) = (false, time, 0)
      try row.update(database)
    }
  }

  private static func dependent(on row: LedgerRow, _ database: GRDB.Database) throws -> String? {
    if row.attached { return "a gateway (it is attached)" }
    let rows = try LedgerRow.fetchAll(
      database, sql: "SELECT * FROM object WHERE tenant = ? AND wanted", arguments: [row.tenant])
    let user = try rows.first { other in
      switch (row.kind, other.kind) {
      case (.snapshot, .volume): try other.decodedWish(CloudsAPI.VolumeWish.self).fromSnapshot == row.id
      case (.volume, .machine): try other.decodedWish(CloudsAPI.MachineRequest.self).wish.volumes.contains(row.id)
      default: false
      }
    }
    return user.map { "\($0.kind.rawValue) \($0.id)" }
  }

  /// Marks everything of an owner to go, attached or not.
  /// - Throws: `not_found` where there is nothing of it.
  func releaseAll(tenant: String, owner: String) async throws {
    let time = now()
    try await database.audited { database in
      let any = try Bool.fetchOne(
        database, sql: "SELECT 1 FROM object WHERE tenant = ? AND owner = ?", arguments: [tenant, owner])
      guard any != nil else { throw Problem.notFound("object of \(owner)") }
      try database.execute(
        sql: "UPDATE object SET wanted = 0, nextAt = ?, attempts = 0 WHERE tenant = ? AND owner = ? AND wanted",
        arguments: [time, tenant, owner])
    }
  }

  /// Changes a row, unless it is gone by now.
  @discardableResult func update(
    _ row: LedgerRow, _ change: @escaping @Sendable (inout LedgerRow) throws -> Void
  ) async throws -> LedgerRow? {
    try await database.audited { database in
      guard var current = try Self.find(database, row.kind, row.tenant, row.id), current.key == row.key else {
        return nil
      }
      try change(&current)
      try current.update(database)
      return current
    }
  }

  func remove(_ row: LedgerRow) async throws {
    try await database.audited { database in
      try database.execute(
        sql: "DELETE FROM object WHERE tenant = ? AND kind = ? AND id = ? AND key = ?",
        arguments: [row.tenant, row.kind.rawValue, row.id, row.key])
    }
  }
}
