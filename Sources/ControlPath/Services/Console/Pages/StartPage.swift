import Hummingbird
import Machines
import ServiceKit
import Wire

/// Target, check and start, on one page: only what differs from the default is asked.
struct StartPage {
  /// Bytes a second by which the plan reckons before anything was measured.
  private static let reckoned = 50e6
  /// Seconds between syncs that are offered; the first is the default.
  private static let schedules = [900, 300, 3600, 21_600, 86_400]
  /// Megabytes a second that are offered as a limit.
  private static let limits = [5, 10, 20, 50, 100]

  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/start", .member) { try await Self.show($0) }
    pages.post("/t/{tenant}/start", .member) { try await Self.start($0) }
  }

  private static func show(_ visit: Visit) async throws -> Response {
    let api = try visit.api
    guard let id = visit.query("source"), Identifier.isValid(id) else { return visit.redirect(visit.path("servers")) }
    async let wantedTargets = api.targets()
    async let wantedMigrations = api.migrations()
    let source = try await api.get(.migration, "sources", id, as: MigrationAPI.Source.self)
    let (targets, migrations) = (try await wantedTargets, try await wantedMigrations)
    let preflight = Preflight(source, targets: targets, migrations: migrations)
    let machine = source.machine
    let seconds = Double(machine.bytesInUse) / reckoned
    return try visit.page(
      "start", title: visit.text("start.title", ["name": source.name]), section: .servers,
      [
        "source": ["id": source.id, "name": source.name, "system": machine.distribution.name],
        "targets": targets.enumerated().map { index, target -> View in
          ["id": target.id, "provider": provider(target, visit), "endpoint": target.endpoint, "first": index == 0]
        },
        "checks": preflight.checks.map { view($0, visit) }, "verdict": preflight.worst.rawValue,
        "verdict_text": visit.text("preflight.verdict_" + preflight.worst.rawValue), "may_start": preflight.mayStart,
        "plan": visit.text(
          "start.plan",
          [
            "name": source.name, "target": targets.first?.id ?? "–", "used": visit.figures.bytes(machine.bytesInUse),
            "size": visit.figures.bytes(machine.bytesOnDisks), "time": visit.figures.duration(max(seconds, 60)),
            "rate": visit.figures.rate(reckoned)
          ]),
        "schedules": schedules.map { ["seconds": $0, "label": visit.figures.duration(Double($0))] as View },
        "limits": limits.map { ["bytes": $0 * 1_000_000, "label": visit.figures.rate(Double($0) * 1e6)] as View },
        "key": Secret.text(bytes: 12)
      ])
  }

  private static func provider(_ target: CloudsAPI.Target, _ visit: Visit) -> String {
    visit.words.find("provider", target.provider) ?? target.provider
  }

  private static func view(_ check: Preflight.Check, _ visit: Visit) -> View {
    var view: View = [
      "level": check.level.rawValue, "mark": visit.text("preflight.level_" + check.level.rawValue),
      "what": visit.text("preflight." + check.key, check.values)
    ]
    if check.level != .ok { view["todo"] = visit.text("preflight." + check.key + "_do", check.values) }
    return view
  }

  private static func start(_ visit: Visit) async throws -> Response {
    guard let source = visit.form["source"], let target = visit.form["target"] else { throw Problem.signInIncomplete }
    let limit = visit.form["limit"].flatMap { UInt64($0) }
    let wish = MigrationAPI.MigrationWish(
      name: visit.form["name"] ?? source, source: source, target: target,
      schedule: visit.form["schedule"].flatMap { Int($0) }, limits: limit.map { SyncCommand.Limits(link: $0) },
      key: visit.form["key"])
    let made = try await visit.api.post(.migration, "migrations", body: wish, as: MigrationAPI.Migration.self)
    return visit.redirect(visit.path("migrations", made.id))
  }
}
