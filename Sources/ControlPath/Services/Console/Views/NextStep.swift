import Wire

/// The one thing to do about a migration.
enum NextStep: String, CaseIterable, Sendable {
  /// Nothing: the platform works, or waits for the server.
  case wait
  case resume, test, look, `switch`, finish, fix, proof

  /// - Parameter isTested: whether a test of it has proven itself.
  static func of(_ migration: MigrationAPI.Migration, isTested: Bool) -> NextStep {
    if migration.paused, migration.switchedAt == nil, ![.switching, .done].contains(migration.state) { return .resume }
    // What was switched stays in that state until it is finished or rolled back.
    if migration.switchedAt != nil, [.switching, .ready].contains(migration.state) { return .finish }
    switch migration.state {
    case .connecting, .copying, .switching: return .wait
    case .insync: return isTested ? .switch : .test
    case .testing: return isTested ? .switch : .look
    case .ready: return .switch
    case .attention: return .fix
    case .done: return .proof
    }
  }

  /// What somebody must do, and not the platform.
  var isUrgent: Bool { self != .wait && self != .proof }
}
