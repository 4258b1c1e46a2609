import GRDB

/// A row that belongs to a tenant. There is no way to reach one without saying for which tenant.
protocol TenantRow: Codable, Sendable, FetchableRecord, PersistableRecord {
  var id: String { get }
  var tenant: String { get }
}

extension MigrationDatabase {
  func find<Row: TenantRow>(_ type: Row.Type, _ tenant: String, _ id: String) async throws -> Row? {
    try await pool.read { try Self.find(type, tenant, id, $0) }
  }

  /// Changes one row in an IMMEDIATE transaction; answers with what it became, or nil where there is none. What `body`
  /// throws takes the whole change back.
  @discardableResult
  func update<Row: TenantRow>(
    _ type: Row.Type, _ tenant: String, _ id: String, _ body: @escaping @Sendable (inout Row) throws -> Void
  ) async throws -> Row? {
    try await write { db in try Self.update(type, tenant, id, db, body) }
  }

  /// Newest first.
  func list<Row: TenantRow>(
    _ type: Row.Type, _ tenant: String, filter: [String: String] = [:], limit: Int, after: String?
  ) async throws -> (rows: [Row], next: String?) {
    let columns = filter.keys.sorted()
    let table = Row.databaseTableName
    var sql = "SELECT * FROM \(table) WHERE tenant = ?"
    var arguments: StatementArguments = [tenant]
    for column in columns {
      sql += " AND \(column) = ?"
      arguments += [filter[column]]
    }
    if let after {
      sql += " AND rowid < (SELECT rowid FROM \(table) WHERE tenant = ? AND id = ?)"
      arguments += [tenant, after]
    }
    sql += " ORDER BY rowid DESC LIMIT ?"
    arguments += [limit + 1]
    let (text, values) = (sql, arguments)
    let rows = try await pool.read { try Row.fetchAll($0, sql: text, arguments: values) }
    let page = Array(rows.prefix(limit))
    return (page, rows.count > limit ? page.last?.id : nil)
  }

  static func find<Row: TenantRow>(_ type: Row.Type, _ tenant: String, _ id: String, _ db: GRDB.Database) throws -> Row?
  {
    try Row.filter(Column("tenant") == tenant && Column("id") == id).fetchOne(db)
  }

  @discardableResult
  static func update<Row: TenantRow>(
    _ type: Row.Type, _ tenant: String, _ id: String, _ db: GRDB.Database, _ body: (inout Row) throws -> Void
  ) throws -> Row? {
    guard var row = try find(type, tenant, id, db) else { return nil }
    try body(&row)
    try row.update(db)
    return row
  }
}
