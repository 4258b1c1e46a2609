import Hummingbird
import Machines
import NIOHTTP1
import ServiceKit
import Wire

/// The tenant's servers: those that reported, and how another one is added.
struct SourcePages {
  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/servers", .member) { try await Self.list($0) }
    // The token is shown in the answer to the form, and nowhere again.
    pages.post("/t/{tenant}/servers/add", .member) { try await Self.addOne($0) }
    pages.get("/t/{tenant}/servers/add", .member) { visit in visit.redirect(visit.path("servers")) }
    pages.post("/t/{tenant}/servers/{id}/remove", .member) { visit in
      try await visit.api.send(.DELETE, .migration, "sources", try visit.id())
      return visit.redirect(visit.path("servers"), done: "server_removed")
    }
    pages.post("/t/{tenant}/servers/{id}/clear", .member) { visit in
      try await visit.api.send(.POST, .migration, "sources", try visit.id(), "clear")
      return visit.redirect(visit.path("servers"), done: "server_cleared")
    }
  }

  private static func list(_ visit: Visit) async throws -> Response {
    let api = try visit.api
    async let wantedMigrations = api.migrations()
    let (sources, migrations) = (try await api.sources(), try await wantedMigrations)
    let rows = sources.map { source in row(source, migrations.first { $0.source == source.id }, visit) }
    return try visit.page(
      "servers", title: visit.text("nav.servers"), section: .servers,
      ["rows": rows, "any": !rows.isEmpty, "stream": visit.path("live", "sources")])
  }

  private static func row(
    _ source: MigrationAPI.Source, _ migration: MigrationAPI.Migration?, _ visit: Visit
  ) -> View {
    let machine = source.machine
    var view: View = [
      "id": source.id, "name": source.name, "system": machine.distribution.name, "online": source.online,
      "status": visit.text(source.online ? "servers.online" : "servers.offline"),
      "size": visit.text(
        "servers.size",
        [
          "used": visit.figures.bytes(machine.bytesInUse), "size": visit.figures.bytes(machine.bytesOnDisks),
          "disks": String(machine.disks.count)
        ]),
      "seen": visit.figures.instant(source.lastSeenAt), "start": visit.path("start") + "?source=" + source.id,
      "remove": visit.path("servers", source.id, "remove"), "clear": visit.path("servers", source.id, "clear")
    ]
    if let problem = source.problem { view["problem"] = visit.words.explain(problem).view }
    if let migration { view["migration"] = visit.row(migration) }
    return view
  }

  private static func addOne(_ visit: Visit) async throws -> Response {
    let api = try visit.api
    async let known = api.sources()
    let token = try await api.post(.migration, "enrolment-tokens", as: MigrationAPI.EnrolmentToken.self)
    return try visit.page(
      "add-server", title: visit.text("add.title"), section: .servers,
      [
        "command": token.command, "until": visit.figures.instant(token.expiresAt),
        "stream": visit.path("live", "sources"), "known": try await known.map(\.id).joined(separator: " "),
        "start": visit.path("start") + "?source="
      ])
  }
}
