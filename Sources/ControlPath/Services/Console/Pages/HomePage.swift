import Hummingbird
import Machines
import ServiceKit
import Wire

/// What needs somebody now; for whom has nothing yet, the three steps.
struct HomePage {
  /// Things that are told at once.
  private static let most = 5

  func add(to pages: PageRegistry) {
    pages.get("", .user) { visit in
      if let first = visit.session?.memberships.first { return visit.redirect(visit.path("t", first.tenant)) }
      if visit.session?.user.platformRole != nil { return visit.redirect(visit.path("operator")) }
      return try visit.page("no-tenant", title: visit.text("home.no_tenant"))
    }
    pages.get("/t/{tenant}", .member) { try await Self.home($0) }
  }

  private static func home(_ visit: Visit) async throws -> Response {
    let api = try visit.api
    async let wantedSources = api.sources()
    let (migrations, sources) = (try await api.migrations(), try await wantedSources)
    let moving = Set(migrations.map(\.source))
    let waiting = sources.filter { !moving.contains($0.id) }.prefix(most).map { source -> View in
      [
        "name": source.name, "online": source.online,
        "href": visit.path("start") + "?source=" + source.id, "system": source.machine.distribution.name
      ]
    }
    if migrations.isEmpty {
      return try visit.page("start-here", title: visit.text("home.empty_title"), section: .home, ["waiting": waiting])
    }
    let urgent = migrations.filter { NextStep.of($0, isTested: false).isUrgent }
    let running = migrations.filter { $0.activeSync != nil }.prefix(most)
    var rows: [View] = []
    for migration in running {
      guard let id = migration.activeSync else { continue }
      rows.append(
        visit.row(migration).merging(visit.progress(try await api.sync(id))) { own, _ in own })
    }
    return try visit.page(
      "home", title: visit.text("nav.home"), section: .home,
      [
        "counts": counts(migrations, visit), "urgent": urgent.prefix(most).map { visit.row($0) },
        "more": urgent.count > most, "running": rows, "has_running": !rows.isEmpty, "waiting": waiting,
        "has_waiting": !waiting.isEmpty, "stream": visit.path("live", "migrations"),
        "shape": migrations.map { "\($0.id)=\(LiveTopic.shape($0))" }.sorted().joined(separator: " ")
      ])
  }

  /// Under which of the counted states another one is counted.
  private static func place(_ state: MigrationAPI.State) -> MigrationAPI.State {
    state == .connecting ? .copying : state == .testing ? .insync : state
  }

  private static func counts(_ migrations: [MigrationAPI.Migration], _ visit: Visit) -> [View] {
    let states: [MigrationAPI.State] = [.attention, .copying, .insync, .ready, .switching, .done]
    return states.map { state in
      [
        "label": visit.text("state." + state.rawValue), "tone": Visit.tone(state),
        "count": migrations.filter { place($0.state) == state }.count,
        "href": visit.path("migrations") + "?state=" + state.rawValue
      ]
    }
  }
}
