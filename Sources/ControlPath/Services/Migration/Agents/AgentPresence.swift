import Foundation
import GRDB
import ServiceKit
import Wire

/// What an agent's call says about its machine: that it lives, whether it is alone, and whether it should live at all.
struct AgentPresence: Sendable {
  /// Seconds after the final seal in which the source may still say goodbye.
  static let goodbyeSeconds = 120
  let orchestrator: Orchestrator

  /// Notes a call.
  /// - Throws: `Problem` 409 `identity_twice`.
  func note(_ source: SourceRow, instance: String?) async throws {
    let now = orchestrator.now()
    let noted = try await orchestrator.database.write { db -> (problem: Problem?, rollbacks: [String]) in
      guard var row = try MigrationDatabase.find(SourceRow.self, source.tenant, source.id, db) else {
        throw Problem.tokenRefused
      }
      let restarted = instance != nil && row.instance != nil && row.instance != instance
      if row.problem == nil { Self.compare(&row, instance, now) }
      row.lastSeenAt = now
      try row.update(db)
      if row.problem != nil, source.problem == nil {
        try EventRow(
          id: "evt-twice-\(row.id)-\(now)", tenant: row.tenant, at: now, source: row.id, code: "identity_twice",
          message: row.problem?.detail ?? ""
        ).insert(db, onConflict: .ignore)
      }
      let waiting = try Self.splitBrains(row, restarted: restarted, now, db)
      return (row.problem, waiting)
    }
    for workflow in noted.rollbacks { try await orchestrator.wake(workflow) }
    if let problem = noted.problem { throw problem }
  }

  /// A new instance replaces the one before (a restart). One that was replaced and comes back means that both live.
  private static func compare(_ row: inout SourceRow, _ instance: String?, _ now: Int) {
    guard let instance, instance != row.instance else { return }
    if row.formerInstances.contains(instance) {
      row.problem = Problem(
        code: "identity_twice", status: 409,
        detail: "Two running machines use the identity of \(row.name): one is a copy of the other.",
        remedy: "Switch the copy off or remove its agent, then clear the source.")
      return
    }
    if let former = row.instance { row.formerInstances = Array((row.formerInstances + [former]).suffix(16)) }
    row.instance = instance
  }

  /// Marks migrations whose source must be off; answers with the rollbacks that wait for it.
  private static func splitBrains(
    _ source: SourceRow, restarted: Bool, _ now: Int, _ db: GRDB.Database
  ) throws -> [String] {
    let mine = try MigrationRow.filter(Column("tenant") == source.tenant && Column("source") == source.id).fetchAll(db)
    for var row in mine {
      guard let sealedAt = row.sealedFinalAt, row.awaitingSourceSince == nil else { continue }
      // The last report and the polls before power-off are no offence; a new process after the seal is.
      guard restarted || now - sealedAt > goodbyeSeconds, row.problem?.code != "split_brain" else { continue }
      row.problem = Problem(
        code: "split_brain", status: 409,
        detail: "The source \(source.name) runs although it was switched to the target.",
        remedy: "Switch the source off, or roll back.")
      if row.state != .done { row.state = .attention }
      try row.update(db)
      try EventRow(
        tenant: row.tenant, at: now, migration: row.id, source: source.id, code: "split_brain",
        message: row.problem?.detail ?? ""
      ).insert(db)
    }
    return mine.filter { $0.awaitingSourceSince != nil }.compactMap(\.activity)
  }
}
