import Foundation
import GRDB
import Wire

/// The audit as it is kept: a chain of records, and its newest head, signed.
struct AuditLog: Sendable {
  let database: DatabasePool
  let key: AgentKey

  /// Appends what is not known yet, all or nothing.
  /// - Returns: the new head, signed; nil where everything was known.
  func append(_ events: [AuditEvent]) async throws -> (head: AuditHead, signed: String)? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let bodies = try events.map { (id: $0.id, body: String(decoding: try encoder.encode($0), as: UTF8.self)) }
    return try await database.write { database in
      var last = try AuditRecord.newest(database)
      var isNew = false
      for (id, body) in bodies {
        let known = try Bool.fetchOne(database, sql: "SELECT 1 FROM audit WHERE id = ?", arguments: [id])
        guard known == nil else { continue }
        let record = AuditRecord(seq: (last?.seq ?? 0) + 1, body: body, after: last?.hash ?? AuditRecord.genesis)
        try database.execute(
          sql: "INSERT INTO audit (seq, body, hash) VALUES (?, ?, ?)",
          arguments: [record.seq, record.body, record.hash])
        (last, isNew) = (record, true)
      }
      guard let last, isNew else { return nil }
      let head = AuditHead(seq: last.seq, hash: last.hash, at: Int(Date().timeIntervalSince1970))
      let signed = try head.signed(with: key)
      try database.execute(sql: "INSERT OR REPLACE INTO auditHead (id, head) VALUES (1, ?)", arguments: [signed])
      return (head, signed)
    }
  }

  /// A tenant's entries, newest first.
  func list(tenant: String, before: Int64?, limit: Int) async throws -> MigrationAPI.Page<AuditAPI.Entry> {
    let records = try await database.read { database in
      try AuditRecord.fetch(
        database, "WHERE tenant = ? AND seq < ? ORDER BY seq DESC LIMIT ?", [tenant, before ?? .max, limit + 1])
    }
    let items = try records.prefix(limit).map { record in
      let event = try JSONDecoder().decode(AuditEvent.self, from: Data(record.body.utf8))
      return AuditAPI.Entry(seq: record.seq, hash: record.hash, event: event)
    }
    return .init(items: items, next: records.count > limit ? items.last.map { "\($0.seq)" } : nil)
  }

  /// Records of every tenant, oldest first, and the newest head of the same instant.
  func export(after: Int64, limit: Int) async throws -> AuditAPI.Export {
    try await database.read { database in
      let records = try AuditRecord.fetch(database, "WHERE seq > ? ORDER BY seq LIMIT ?", [after, limit + 1])
      let page = Array(records.prefix(limit))
      return AuditAPI.Export(
        records: page, next: records.count > limit ? page.last?.seq : nil, head: try AuditHead.newest(database),
        key: Base64URL.encode(key.publicKey))
    }
  }
}

extension AuditRecord {
  /// - Parameter clauses: of the statement, from WHERE on.
  static func fetch(_ database: GRDB.Database, _ clauses: String, _ arguments: StatementArguments) throws
    -> [AuditRecord]
  {
    try Row.fetchAll(database, sql: "SELECT seq, body, hash FROM audit " + clauses, arguments: arguments).map {
      AuditRecord(seq: $0["seq"], body: $0["body"], hash: $0["hash"])
    }
  }

  static func newest(_ database: GRDB.Database) throws -> AuditRecord? {
    try fetch(database, "ORDER BY seq DESC LIMIT 1", []).first
  }
}

extension AuditHead {
  static func newest(_ database: GRDB.Database) throws -> String? {
    try String.fetchOne(database, sql: "SELECT head FROM auditHead")
  }
}
