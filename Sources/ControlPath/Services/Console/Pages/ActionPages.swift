import Hummingbird
import NIOHTTP1
import ServiceKit
import Wire

/// What is done to a migration. Steps with a weight are asked for on a page that says what they do.
struct ActionPages {
  /// Steps that are confirmed; the words are `confirm.STEP_*`.
  static let confirmed = ["test", "switch", "rollback", "finish", "remove"]
  /// Steps that are taken at once.
  private static let direct = ["sync", "pause", "resume", "abort"]

  func add(to pages: PageRegistry) {
    for step in Self.confirmed {
      pages.get("/t/{tenant}/migrations/{id}/\(step)", .member) { try await Self.ask(step, $0) }
    }
    for step in Self.confirmed + Self.direct {
      pages.post("/t/{tenant}/migrations/{id}/\(step)", .member) { visit in
        let id = try visit.id()
        try await Self.act(step, on: id, visit)
        let gone = step == "remove"
        return visit.redirect(gone ? visit.path("migrations") : visit.path("migrations", id), done: "asked_" + step)
      }
    }
  }

  private static func ask(_ step: String, _ visit: Visit) async throws -> Response {
    let (api, id) = (try visit.api, try visit.id())
    async let wantedPoints = api.points(id)
    async let wantedLaunches = api.launches(id)
    let migration = try await api.migration(id)
    let source = try? await api.get(.migration, "sources", migration.source, as: MigrationAPI.Source.self)
    let names = ["name": migration.name, "target": migration.target]
    var view: View = [
      "step": step, "name": migration.name, "path": visit.path("migrations", id), "asks_test": step == "test",
      "asks_switch": step == "switch", "asks_launch": step == "test" || step == "switch",
      "intro": visit.text("confirm.\(step)_intro", names), "label": visit.text("confirm.\(step)_label"),
      "effects": (1...3).map { View(dictionaryLiteral: ("text", visit.text("confirm.\(step)_\($0)", names))) },
      "danger": ["remove", "rollback", "finish"].contains(step)
    ]
    let points = try await wantedPoints
    view["points"] = points.enumerated().map { index, point -> View in
      [
        "id": point.id, "at": visit.figures.instant(point.createdAt), "level": MigrationPage.level(point, visit),
        "first": index == 0
      ]
    }
    if step == "switch" {
      view["checks"] = checklist(migration, source, try await wantedLaunches, points, visit)
    }
    return try visit.page("confirm", title: visit.text("confirm.\(step)_title", names), section: .migrations, view)
  }

  private static func checklist(
    _ migration: MigrationAPI.Migration, _ source: MigrationAPI.Source?, _ launches: [MigrationAPI.Launch],
    _ points: [MigrationAPI.Point], _ visit: Visit
  ) -> [View] {
    let isTested = launches.contains { $0.kind == .test && $0.proof?.passed == true }
    let checks: [(String, Bool)] = [
      ("point", !points.isEmpty), ("tested", isTested), ("online", source?.online == true),
      ("clean", migration.problem == nil && migration.scrub?.open ?? 0 == 0)
    ]
    return checks.map { key, isGood in
      [
        "level": isGood ? "ok" : "warn", "mark": visit.text("preflight.level_" + (isGood ? "ok" : "warn")),
        "what": visit.text("checklist." + key + (isGood ? "" : "_not"))
      ]
    }
  }

  /// Takes a step by the services' API.
  static func act(_ step: String, on id: String, _ visit: Visit) async throws {
    let api = try visit.api
    switch step {
    case "sync": try await api.send(.POST, .migration, "migrations", id, "syncs")
    case "pause", "resume":
      try await api.send(
        .PATCH, .migration, "migrations", id, body: MigrationAPI.MigrationChange(paused: step == "pause"))
    case "abort": try await api.send(.POST, .migration, "migrations", id, "switch", "abort")
    case "test": try await api.send(.POST, .migration, "migrations", id, "launches", body: wish(visit))
    case "switch": try await api.send(.POST, .migration, "migrations", id, "switch", body: wish(visit))
    case "rollback", "finish": try await api.send(.POST, .migration, "migrations", id, step)
    case "remove": try await api.send(.DELETE, .migration, "migrations", id)
    default: throw Problem.notFound("step")
    }
  }

  /// What differs from the default: the point, how long a test stays, what proves the start, which ports are reached.
  private static func wish(_ visit: Visit) -> MigrationAPI.LaunchWish {
    let form = visit.form
    let ports = form["ports"].map { $0.split { !$0.isNumber }.compactMap { Int($0) } }
    return .init(
      point: form["point"], expiresIn: form["hours"].flatMap { Int($0) }.map { $0 * 3600 }, ports: ports,
      successText: form["success_text"], successPort: form["success_port"].flatMap { Int($0) }, key: form["key"])
  }
}
