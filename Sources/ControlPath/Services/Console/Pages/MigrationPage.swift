import Hummingbird
import ServiceKit
import Wire

/// One migration, live.
struct MigrationPage {
  /// The steps of a sync as people are shown them.
  private static let phases = ["preparing", "copying", "catchingUp", "freezing", "sealing", "snapshot"]

  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/migrations/{id}", .member) { try await Self.show($0) }
  }

  private static func show(_ visit: Visit) async throws -> Response {
    let (api, id) = (try visit.api, try visit.id())
    async let wantedLaunches = api.launches(id)
    async let wantedPoints = api.points(id)
    async let wantedEvents = api.get(
      .migration, "migrations", id, "events", query: "?limit=20", as: MigrationAPI.Page<MigrationAPI.Event>.self)
    let migration = try await api.migration(id)
    let source = try? await api.get(.migration, "sources", migration.source, as: MigrationAPI.Source.self)
    let (launches, points) = (try await wantedLaunches, try await wantedPoints)
    let isTested = launches.contains { $0.kind == .test && $0.proof?.passed == true }
    var view = visit.row(migration, source: source)
    view["step"] = step(NextStep.of(migration, isTested: isTested), migration, launches, source, visit)
    if let active = migration.activeSync { view["progress"] = progress(try await api.sync(active), visit) }
    view["disks"] = disks(migration, points.first, visit)
    view["launches"] = launches.map { launch($0, visit) }
    view["has_launches"] = !launches.isEmpty
    view["points"] = points.map { point($0, visit) }
    view["has_points"] = !points.isEmpty
    view["events"] = try await wantedEvents.items.map { event($0, visit) }
    view["stream"] = visit.path("live", "migration-" + id)
    view["shape"] = ([LiveTopic.shape(migration)] + launches.map { "\($0.id):\($0.state.rawValue)" })
      .joined(separator: " ")
    view["settings"] = settings(migration, visit)
    view["path"] = visit.path("migrations", id)
    view["is_over"] = migration.state == .done
    view["can_roll_back"] = migration.switchedAt != nil && migration.state != .done
    view["can_abort"] = migration.state == .switching && migration.switchedAt == nil
    let isOpen = migration.switchedAt == nil && [.insync, .testing, .ready].contains(migration.state)
    view["can_test"] = migration.lastPointAt != nil && isOpen
    view["can_switch"] = migration.lastPointAt != nil && isOpen
    view["can_sync"] =
      migration.activeSync == nil && [.insync, .testing, .ready, .attention].contains(migration.state)
      && migration.switchedAt == nil
    view["can_remove"] = migration.switchedAt == nil && migration.state != .done && migration.state != .switching
    return try visit.page("migration", title: migration.name, section: .migrations, view)
  }

  private static func step(
    _ step: NextStep, _ migration: MigrationAPI.Migration, _ launches: [MigrationAPI.Launch],
    _ source: MigrationAPI.Source?, _ visit: Visit
  ) -> View {
    let explained = step == .wait ? "wait_" + migration.state.rawValue : step.rawValue
    var view: View = [
      "title": visit.text("next." + step.rawValue), "text": visit.text("step." + explained), "name": step.rawValue
    ]
    if step == .wait, source?.online == false { view["text"] = visit.text("step.offline") }
    switch step {
    case .test, .switch, .finish:
      view["href"] = visit.path("migrations", migration.id, step.rawValue)
    case .look:
      view["href"] = launches.first { $0.kind == .test }.map { visit.path("launches", $0.id) }
    case .proof:
      view["href"] = launches.first { $0.kind == .switch }.map { visit.path("launches", $0.id) }
    case .resume, .wait, .fix: break
    }
    view["label"] = visit.text("action." + step.rawValue)
    view["resume"] = step == .resume
    view["allowed"] = visit.may(.migrate) || step == .look || step == .proof
    return view
  }

  private static func progress(_ sync: MigrationAPI.Sync, _ visit: Visit) -> View {
    var view = visit.progress(sync)
    let current = phases.firstIndex(of: ProgressMemory.phase(sync)) ?? 0
    view["phases"] = phases.enumerated().map { index, name -> View in
      [
        "name": name, "label": visit.text("phase." + name), "current": index == current,
        "class": index < current ? "done" : index == current ? "now" : "todo"
      ]
    }
    view["mode"] = visit.text("mode." + (sync.progress?.mode ?? sync.mode).rawValue)
    view["final"] = sync.final
    return view
  }

  /// One bar a disk: what the newest point holds of it as data, as zeros, and as free.
  private static func disks(
    _ migration: MigrationAPI.Migration, _ point: MigrationAPI.Point?, _ visit: Visit
  ) -> [View] {
    let leaf = UInt64(64 << 10)
    return migration.disks.map { disk in
      var view: View = ["name": disk.name, "size": visit.figures.bytes(disk.size)]
      if let sealed = point?.receipt.disks.first(where: { $0.volume == disk.volume }) {
        let total = Double(max(1, sealed.dataLeaves + sealed.zeroLeaves + sealed.freeLeaves))
        let (data, zero) = (Double(sealed.dataLeaves) / total * 100, Double(sealed.zeroLeaves) / total * 100)
        view["map"] =
          [
            "data": tenth(data), "zero": tenth(zero), "zero_from": tenth(data), "free": tenth(100 - data - zero),
            "free_from": tenth(data + zero),
            "text": visit.text(
              "disks.map",
              [
                "data": visit.figures.bytes(sealed.dataLeaves * leaf),
                "zero": visit.figures.bytes(sealed.zeroLeaves * leaf),
                "free": visit.figures.bytes(sealed.freeLeaves * leaf)
              ])
          ] as View
      }
      return view
    }
  }

  private static func tenth(_ value: Double) -> Double { (max(0, value) * 10).rounded() / 10 }

  private static func launch(_ launch: MigrationAPI.Launch, _ visit: Visit) -> View {
    var view: View = [
      "href": visit.path("launches", launch.id), "kind": visit.text("launch." + launch.kind.rawValue),
      "state": visit.text("launch_state." + launch.state.rawValue), "at": visit.figures.instant(launch.createdAt),
      "tone": launch.problem != nil || launch.proof?.passed == false
        ? "bad" : launch.proof?.passed == true ? "good" : "busy"
    ]
    if let proof = launch.proof { view["verdict"] = visit.text(proof.passed ? "proof.passed" : "proof.failed") }
    return view
  }

  private static func point(_ point: MigrationAPI.Point, _ visit: Visit) -> View {
    [
      "id": point.id, "at": visit.figures.instant(point.createdAt), "final": point.final,
      "level": level(point, visit), "evidence": visit.path("points", point.id, "evidence"),
      "has_evidence": point.hasEvidence == true
    ]
  }

  /// The weakest consistency of a point's filesystems.
  static func level(_ point: MigrationAPI.Point, _ visit: Visit) -> String {
    let levels = Set(point.receipt.consistency.values)
    let worst = ["crash", "filesystem", "application"].first { levels.contains($0) }
    return worst.map { visit.text("consistency." + $0) } ?? visit.text("consistency.none")
  }

  static func event(_ event: MigrationAPI.Event, _ visit: Visit) -> View {
    ["at": visit.figures.instant(event.at), "text": visit.words.find("events", event.code) ?? event.message]
  }

  private static func settings(_ migration: MigrationAPI.Migration, _ visit: Visit) -> [View] {
    [
      [
        "label": visit.text("start.schedule"),
        "value": migration.schedule.map { visit.figures.duration(Double($0)) } ?? visit.text("start.when_asked")
      ],
      [
        "label": visit.text("start.limit"),
        "value": migration.limits.link.map { visit.figures.rate(Double($0)) } ?? visit.text("start.no_limit")
      ],
      ["label": visit.text("detail.retention"), "value": String(migration.retention)]
    ]
  }
}
