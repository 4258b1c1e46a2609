import ServiceKit
import Wire

extension Visit {
  /// How a state is coloured; its word is always beside it.
  static func tone(_ state: MigrationAPI.State) -> String {
    switch state {
    case .connecting: "quiet"
    case .copying, .switching, .testing: "busy"
    case .insync, .ready, .done: "good"
    case .attention: "bad"
    }
  }

  /// The word of a state. What was switched and not finished has one of its own.
  static func word(_ migration: MigrationAPI.Migration) -> String {
    isSwitched(migration) ? "switched" : migration.state.rawValue
  }

  private static func isSwitched(_ migration: MigrationAPI.Migration) -> Bool {
    migration.switchedAt != nil && [.switching, .ready].contains(migration.state)
  }

  /// A migration as lists show it.
  func row(_ migration: MigrationAPI.Migration, source: MigrationAPI.Source? = nil) -> View {
    let step = NextStep.of(migration, isTested: false)
    var view: View = [
      "id": migration.id, "name": migration.name, "href": path("migrations", migration.id),
      "state": text("state." + Self.word(migration)),
      "tone": Self.isSwitched(migration) ? "good" : Self.tone(migration.state),
      "target": migration.target, "shape": LiveTopic.shape(migration), "paused": migration.paused,
      "urgent": step.isUrgent, "next": text("next." + step.rawValue), "active": migration.activeSync != nil
    ]
    if let source { view["source"] = source.name }
    if let at = migration.lastPointAt { view["last_point"] = figures.instant(at) }
    if let problem = migration.problem { view["problem"] = words.explain(problem).view }
    if step.isUrgent { view["action"] = ["href": stepPath(step, migration), "label": text("action." + step.rawValue)] }
    return view
  }

  /// Where a step is taken.
  func stepPath(_ step: NextStep, _ migration: MigrationAPI.Migration) -> String {
    switch step {
    case .test, .switch, .finish: path("migrations", migration.id, step.rawValue)
    case .wait, .look, .fix, .proof, .resume: path("migrations", migration.id)
    }
  }

  /// How the sync of a migration goes, as far as one answer tells.
  func progress(_ sync: MigrationAPI.Sync) -> View {
    var view: View = ["sync": sync.id, "percent": 0, "percent_text": "0 %", "done": "–", "dirty": "–", "wire": "–"]
    guard let progress = sync.progress else { return view }
    let percent = parts.feeds.peak(sync.id, ProgressMemory.percent(progress))
    (view["percent"], view["percent_text"]) = (percent, "\(Int(percent)) %")
    view["done"] = figures.bytes(progress.doneBytes)
    view["used"] = figures.bytes(max(progress.usedBytes, progress.doneBytes))
    (view["dirty"], view["wire"]) = (figures.bytes(progress.dirtyBytes), figures.bytes(progress.wireBytes))
    if let forecast = progress.forecast, let high = forecast.highSeconds {
      view["remaining"] = figures.remaining(low: forecast.lowSeconds, high: high)
    }
    return view
  }
}
