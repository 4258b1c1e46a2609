import GRDB
import Wire

/// What scrubs find, counted with the migration: all of it in the transaction that brings the news.
extension MigrationRow {
  /// The window of the next sync; nil where none is due.
  func nextScrub(asked: ScrubWindow?) -> ScrubWindow? {
    if scrub?.needsAll == true { return .everything }
    if let asked { return asked }
    guard let scrub, let budget = scrub.budget, budget > 0, lastPointAt != nil else { return nil }
    return ScrubWindow(from: scrub.cursor, to: scrub.cursor + budget)
  }

  private var size: UInt64 { disks.map(\.size).max() ?? 0 }

  /// A running sync found leaves that differ; they are open until a point is made.
  mutating func noteFound(_ findings: ScrubFindings?, before: ScrubFindings?, at now: Int, _ db: Database) throws {
    let (new, old) = (findings?.differing ?? 0, before?.differing ?? 0)
    guard new > old else { return }
    var state = scrub ?? .init()
    state.found += new - old
    state.open += new - old
    scrub = state
    try EventRow(
      tenant: tenant, at: now, migration: id, code: "mismatch_found",
      message: "\(new - old) leaves of the replica did not hold what was written; they are sent again."
    ).insert(db)
  }

  /// A point was re-read and found damaged: everything is read back by the next sync.
  mutating func noteDamaged(_ differing: UInt64) {
    var state = scrub ?? .init()
    state.found += differing
    state.open += differing
    state.needsAll = true
    scrub = state
  }

  /// A sync was sealed: what it read back is right, whatever had been found.
  mutating func noteSealed(_ sync: SyncRow, _ findings: ScrubFindings?, at now: Int, _ db: Database) throws {
    if let missed = findings?.missed, missed > 0 {
      nextMode = .compare
      try EventRow(
        tenant: tenant, at: now, migration: id, code: "write_missed",
        message: "\(missed) leaves of the source had changed unseen; they were sent, and the next sync compares all."
      ).insert(db)
    }
    guard var state = scrub ?? sync.scrub.map({ _ in .init() }) else { return }
    let isWhole = sync.scrub.map { $0.from == 0 && $0.to >= size } ?? false
    if state.open > 0, isWhole || !state.needsAll {
      try EventRow(
        tenant: tenant, at: now, migration: id, code: "mismatches_mended",
        message: "\(state.open) leaves of the replica that had differed are mended."
      ).insert(db)
      (state.open, state.needsAll) = (0, false)
    }
    if let window = sync.scrub {
      if isWhole || window.from == state.cursor { state.cursor = window.to >= size ? 0 : window.to }
      if window.to >= size { state.completedAt = now }
    }
    scrub = state
  }
}

extension Problem {
  static func mismatchesOpen(_ migration: MigrationRow) -> Problem {
    Problem(
      code: "mismatches_open", status: 409,
      detail: "\(migration.scrub?.open ?? 0) leaves of the replica of \(migration.id) were found to differ and are not "
        + "mended yet.",
      remedy: "Run a sync ('godwit migrate sync'); its point mends them. Then switch.")
  }
}
