public import Foundation
public import GRDB
public import Workflows

/// Workflows in SQLite. Several processes on one host may share the file: every change is an IMMEDIATE transaction (as
/// GRDB begins each that writes), so that two claims cannot read the same row before either writes.
public struct SQLiteWorkflowStore: WorkflowStore {
  private let writer: any DatabaseWriter

  /// Uses a database that the caller opened with WAL and a busy time-out; adds the table where it is missing.
  public init(_ writer: any DatabaseWriter) throws {
    self.writer = writer
    try Self.migrator.migrate(writer)
  }

  /// Opens or creates a file of its own.
  public static func open(path: String) throws -> SQLiteWorkflowStore {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    return try SQLiteWorkflowStore(DatabasePool(path: path, configuration: configuration))
  }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("workflows-1") { db in
      try db.create(table: "workflow") { t in
        t.primaryKey("id", .text)
        t.column("kind", .text).notNull()
        t.column("tenant", .text).notNull()
        t.column("step", .text).notNull()
        t.column("state", .text).notNull()
        t.column("attempts", .integer).notNull()
        t.column("wakeAt", .double).notNull()
        t.column("fence", .integer).notNull()
        t.column("leaseOwner", .text)
        t.column("leaseUntil", .double)
        t.column("signals", .integer).notNull()
        t.column("cancelRequested", .boolean).notNull()
        t.column("outcome", .text)
        t.column("problem", .text)
        t.column("createdAt", .double).notNull()
        t.column("updatedAt", .double).notNull()
      }
      try db.create(
        index: "workflow_due", on: "workflow", columns: ["wakeAt"], condition: Column("outcome") == nil)
    }
    return migrator
  }

  public func insert(_ record: WorkflowRecord) async throws -> WorkflowRecord {
    try await writer.write { db in try Self.insert(record, db) }
  }

  /// The same within a transaction of a caller whose tables are in the same file: what the workflow is about and the
  /// workflow come to be together.
  @discardableResult
  public static func insert(_ record: WorkflowRecord, _ db: Database) throws -> WorkflowRecord {
    if let found = try fetch(db, record.id) { return found }
    try db.execute(
      sql: """
        INSERT INTO workflow (id, kind, tenant, step, state, attempts, wakeAt, fence, signals, cancelRequested,
          createdAt, updatedAt) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?)
        """,
      arguments: [
        record.id, record.kind, record.tenant, record.step, record.state, record.attempts,
        record.wakeAt.timeIntervalSince1970, record.createdAt.timeIntervalSince1970,
        record.updatedAt.timeIntervalSince1970
      ])
    return try fetch(db, record.id) ?? record
  }

  public func workflow(_ id: String) async throws -> WorkflowRecord? {
    try await writer.read { try Self.fetch($0, id) }
  }

  public func claim(kinds: [String], owner: String, now: Date, until: Date) async throws -> WorkflowRecord? {
    let marks = databaseQuestionMarks(count: kinds.count)
    let due = """
      SELECT id FROM workflow WHERE outcome IS NULL AND wakeAt <= ? AND (leaseUntil IS NULL OR leaseUntil <= ?)
        AND kind IN (\(marks)) ORDER BY wakeAt, id LIMIT 1
      """
    let seconds = now.timeIntervalSince1970
    // Reading first spares idle workers the write lock.
    let any = try await writer.read {
      try String.fetchOne($0, sql: due, arguments: [seconds, seconds] + StatementArguments(kinds))
    }
    guard any != nil else { return nil }
    return try await writer.write { db in
      guard let id = try String.fetchOne(db, sql: due, arguments: [seconds, seconds] + StatementArguments(kinds))
      else { return nil }
      try db.execute(
        sql: "UPDATE workflow SET fence = fence + 1, leaseOwner = ?, leaseUntil = ? WHERE id = ?",
        arguments: [owner, until.timeIntervalSince1970, id])
      return try Self.fetch(db, id)
    }
  }

  public func renew(_ id: String, fence: Int64, until: Date) async throws {
    try await writer.write { db in
      try db.execute(
        sql: "UPDATE workflow SET leaseUntil = ? WHERE id = ? AND fence = ? AND leaseOwner IS NOT NULL",
        arguments: [until.timeIntervalSince1970, id, fence])
      guard db.changesCount == 1 else { throw WorkflowStoreError.leaseLost(workflow: id, fence: fence) }
    }
  }

  public func commit(
    _ id: String, fence: Int64, seen signals: Int64, _ change: WorkflowChange, now: Date
  ) async throws {
    let problem = try change.problem.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
    try await writer.write { db in
      try db.execute(
        sql: """
          UPDATE workflow SET step = ?, state = ?, attempts = ?, wakeAt = CASE signals WHEN ? THEN ? ELSE ? END,
            outcome = ?, problem = ?, updatedAt = ?, leaseOwner = NULL, leaseUntil = NULL
          WHERE id = ? AND fence = ? AND leaseOwner IS NOT NULL AND outcome IS NULL
          """,
        arguments: [
          change.step, change.state, change.attempts, signals, change.wakeAt.timeIntervalSince1970,
          now.timeIntervalSince1970, change.outcome?.rawValue, problem, now.timeIntervalSince1970, id, fence
        ])
      guard db.changesCount == 1 else { throw WorkflowStoreError.leaseLost(workflow: id, fence: fence) }
    }
  }

  public func wake(_ id: String, now: Date) async throws {
    try await writer.write { db in
      try db.execute(
        sql: "UPDATE workflow SET signals = signals + 1, wakeAt = MIN(wakeAt, ?) WHERE id = ? AND outcome IS NULL",
        arguments: [now.timeIntervalSince1970, id])
    }
  }

  public func requestCancel(_ id: String, now: Date) async throws {
    try await writer.write { db in
      try db.execute(
        sql: """
          UPDATE workflow SET cancelRequested = 1, signals = signals + 1, wakeAt = MIN(wakeAt, ?)
          WHERE id = ? AND outcome IS NULL
          """,
        arguments: [now.timeIntervalSince1970, id])
    }
  }

  public func unfinished(kinds: [String]) async throws -> [WorkflowRecord] {
    try await writer.read { db in
      let marks = databaseQuestionMarks(count: kinds.count)
      return try Row.fetchAll(
        db, sql: "SELECT * FROM workflow WHERE outcome IS NULL AND kind IN (\(marks)) ORDER BY createdAt, id",
        arguments: StatementArguments(kinds)
      ).map(WorkflowRecord.init(row:))
    }
  }

  public func removeEnded(before: Date) async throws -> Int {
    try await writer.write { db in
      try db.execute(
        sql: "DELETE FROM workflow WHERE outcome IS NOT NULL AND updatedAt < ?",
        arguments: [before.timeIntervalSince1970])
      return db.changesCount
    }
  }

  private static func fetch(_ db: Database, _ id: String) throws -> WorkflowRecord? {
    try Row.fetchOne(db, sql: "SELECT * FROM workflow WHERE id = ?", arguments: [id]).map(WorkflowRecord.init(row:))
  }
}
