import Foundation
import GRDB
import ServiceKit
import Testing
import Wire

@testable import Operations

@Suite(.timeLimit(.minutes(1))) struct AuditLogTests {
  private static func event(_ number: Int, tenant: String = "acme") -> AuditEvent {
    AuditEvent(
      id: "aud_\(number)", at: 1_700_000_000 + number, service: "migration", tenant: tenant, actor: "admin",
      action: "POST /v1/tenants/{tenant}/migrations", object: "migration mig-\(number)", from: "10.0.0.\(number)",
      request: "req-\(number)")
  }

  /// An audit of 20 records in a file.
  private func withLog(_ body: (AuditLog, String) async throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/operations.sqlite"
      let log = AuditLog(
        database: try ServiceKit.Database.open(path, migrations: OperationsSchema.migrations), key: AgentKey())
      _ = try await log.append((1...20).map { Self.event($0, tenant: $0.isMultiple(of: 2) ? "acme" : "other") })
      try await body(log, path)
    }
  }

  @Test(arguments: [
    "UPDATE audit SET body = '{}' WHERE seq = 3", "DELETE FROM audit WHERE seq = 20", "DELETE FROM audit",
    "INSERT OR REPLACE INTO audit (seq, body, hash) VALUES (3, '{}', '')",
    "INSERT INTO audit (seq, body, hash) VALUES (22, '{}', '')", "UPDATE audit SET seq = seq + 100",
    "INSERT INTO audit (seq, body, hash) SELECT seq, body, hash FROM audit"
  ]) func `The database refuses everything but the next record`(_ statement: String) async throws {
    try await withLog { log, path in
      await #expect(throws: DatabaseError.self) { try await log.database.write { try $0.execute(sql: statement) } }
      let count = try AuditFile.verify(path, publicKey: log.key.publicKey)
      #expect(count == 20)
    }
  }

  @Test func `Events that come again are left out, and a delivery is taken as a whole`() async throws {
    try await withLog { log, path in
      let known = try await log.append((1...20).map { Self.event($0) })
      #expect(known?.signed == nil)
      let grown = try #require(try await log.append([Self.event(20), Self.event(21), Self.event(21), Self.event(22)]))
      #expect(grown.head.seq == 22)
      let signed = try AuditHead(grown.signed, publicKey: log.key.publicKey)
      #expect(signed == grown.head)
      let count = try AuditFile.verify(path, publicKey: log.key.publicKey)
      #expect(count == 22)
    }
  }

  @Test func `A tenant sees its own entries, newest first, page by page`() async throws {
    try await withLog { log, _ in
      var (seen, before) = ([Int64](), Int64?.none)
      while true {
        let page = try await log.list(tenant: "acme", before: before, limit: 3)
        #expect(page.items.allSatisfy { $0.event.tenant == "acme" })
        seen += page.items.map(\.seq)
        guard let next = page.next.flatMap({ Int64($0) }) else { break }
        before = next
      }
      #expect(seen == Array(stride(from: 20, through: 2, by: -2)))
      let nothing = try await log.list(tenant: "stranger", before: nil, limit: 3)
      #expect(nothing.items.isEmpty)
    }
  }

  @Test func `The export and its head agree, page by page`() async throws {
    try await withLog { log, _ in
      var (chain, after) = (AuditChain(), Int64(0))
      while true {
        let page = try await log.export(after: after, limit: 7)
        for record in page.records { try chain.follow(record) }
        guard let next = page.next else {
          try chain.end(newest: try page.head.map { try AuditHead($0, publicKey: log.key.publicKey) })
          break
        }
        after = next
      }
      #expect(chain.seq == 20)
    }
  }

  /// Somebody with the file in hand, whom no trigger stops.
  private static let attacks: [(String, AuditBreak)] = [
    ("UPDATE audit SET body = replace(body, 'mig-7', 'mig-8') WHERE seq = 7", .altered(seq: 7)),
    ("UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 7", .altered(seq: 7)),
    ("UPDATE audit SET body = replace(body, 'admin', CAST(x'61FF' AS TEXT)) WHERE seq = 9", .altered(seq: 9)),
    ("DELETE FROM audit WHERE seq = 7", .missing(seq: 7, found: 8)),
    ("DELETE FROM audit WHERE seq = 1", .missing(seq: 1, found: 2)),
    (
      """
      CREATE TEMP TABLE pair AS SELECT * FROM audit WHERE seq IN (7, 8); DELETE FROM audit WHERE seq IN (7, 8);
      INSERT INTO audit (seq, body, hash) SELECT 15 - seq, body, hash FROM pair
      """, .altered(seq: 7)
    ), ("DELETE FROM audit WHERE seq > 15", .cut(last: 15, signed: 20)),
    ("DELETE FROM audit", .cut(last: 0, signed: 20)),
    ("DELETE FROM auditHead", .unsigned(last: 20, signed: 0))
  ]

  @Test(arguments: attacks.indices) func `What was done to the file is found and named`(_ index: Int) async throws {
    try await withLog { log, path in
      let (attack, expected) = Self.attacks[index]
      try await log.database.write { database in
        try database.execute(
          sql: "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; DROP TRIGGER audit_next_only")
        try database.execute(sql: attack)
      }
      #expect(throws: expected) { try AuditFile.verify(path, publicKey: log.key.publicKey) }
    }
  }

  @Test func `One changed byte anywhere in a record's text in the file is found`() async throws {
    try await withLog { log, path in
      try await log.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
      try log.database.close()
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      let text = try #require(whole.range(of: Data(#""object":"migration mig-13""#.utf8)))
      let copy = path + ".copy"
      for place in text {
        var changed = whole
        changed[place] ^= 1
        try changed.write(to: URL(fileURLWithPath: copy))
        #expect(throws: AuditBreak.altered(seq: 13)) { try AuditFile.verify(copy, publicKey: log.key.publicKey) }
      }
      try whole.write(to: URL(fileURLWithPath: copy))
      let count = try AuditFile.verify(copy, publicKey: log.key.publicKey)
      #expect(count == 20)
    }
  }
}
