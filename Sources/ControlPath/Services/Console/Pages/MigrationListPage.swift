import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Wire

/// Every migration: by state and name, 20 a page, a few at once, and as a table for other programs.
struct MigrationListPage {
  private static let perPage = 20
  /// What can be done to several at once.
  private static let bulk: Set<String> = ["pause", "resume", "sync"]

  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/migrations", .member) { try await Self.list($0) }
    pages.get("/t/{tenant}/migrations.csv", .member) { try await Self.csv($0) }
    pages.post("/t/{tenant}/migrations", .member) { try await Self.many($0) }
  }

  private static func found(_ visit: Visit) async throws -> [MigrationAPI.Migration] {
    let state = visit.query("state").flatMap(MigrationAPI.State.init)
    let wanted = visit.query("q")?.lowercased()
    return try await visit.api.migrations().filter { migration in
      (state == nil || migration.state == state || (state == .copying && migration.state == .connecting))
        && (wanted.map { migration.name.lowercased().contains($0) || migration.id == $0 } ?? true)
    }
  }

  private static func list(_ visit: Visit) async throws -> Response {
    async let wantedSources = visit.api.sources()
    let all = try await found(visit)
    let sources = Dictionary(try await wantedSources.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let number = max(1, visit.query("page").flatMap { Int($0) } ?? 1)
    let shown = all.dropFirst(min((number - 1) * perPage, all.count)).prefix(perPage)
    let filters: [(String, String?)] = [("q", visit.query("q")), ("state", visit.query("state"))]
    let query = filters.compactMap { name, value in value.map { RESTClient.path("", query: [name: $0]).dropFirst(2) } }
      .joined(separator: "&")
    var view: View = [
      "rows": shown.map { visit.row($0, source: sources[$0.source]) }, "any": !shown.isEmpty,
      "q": visit.query("q") ?? "", "states": states(visit), "filtered": !query.isEmpty,
      "count": visit.text("list.count", ["count": String(all.count)]),
      "csv": visit.path("migrations.csv") + (query.isEmpty ? "" : "?" + query),
      "stream": visit.path("live", "migrations")
    ]
    func page(_ number: Int) -> String {
      visit.path("migrations") + "?" + (query.isEmpty ? "" : query + "&") + "page=\(number)"
    }
    if number > 1 { view["previous"] = page(number - 1) }
    if all.count > number * perPage { view["following"] = page(number + 1) }
    return try visit.page("migrations", title: visit.text("nav.migrations"), section: .migrations, view)
  }

  private static func states(_ visit: Visit) -> [View] {
    let states: [MigrationAPI.State] = [.copying, .insync, .testing, .ready, .switching, .done, .attention]
    return states.map {
      [
        "value": $0.rawValue, "label": visit.text("state." + $0.rawValue), "chosen": visit.query("state") == $0.rawValue
      ]
    }
  }

  private static func many(_ visit: Visit) async throws -> Response {
    guard let action = visit.form["action"], bulk.contains(action) else { throw Problem.signInIncomplete }
    for id in visit.form.all("id").prefix(perPage) where Identifier.isValid(id) {
      try await ActionPages.act(action, on: id, visit)
    }
    return visit.redirect(visit.path("migrations"), done: "asked")
  }

  // MARK: CSV

  private static func csv(_ visit: Visit) async throws -> Response {
    var lines = [["id", "name", "source", "target", "state", "paused", "last_point", "problem"]]
    for migration in try await found(visit) {
      lines.append([
        migration.id, migration.name, migration.source, migration.target, migration.state.rawValue,
        String(migration.paused), migration.lastPointAt.map { visit.figures.instant($0)["iso"] ?? "" } ?? "",
        migration.problem?.code ?? ""
      ])
    }
    let text = lines.map { $0.map(cell).joined(separator: ",") + "\r\n" }.joined()
    return Response(
      status: .ok,
      headers: [
        .contentType: "text/csv; charset=utf-8",
        .contentDisposition: "attachment; filename=\"migrations.csv\""
      ], body: .init(byteBuffer: ByteBuffer(string: text)))
  }

  /// Quoted; what a spreadsheet would take for a formula begins with an apostrophe.
  static func cell(_ text: String) -> String {
    let isFormula = text.first.map { "=+-@\t\r".contains($0) } ?? false
    return "\"" + (isFormula ? "'" : "") + text.replacing("\"", with: "\"\"") + "\""
  }
}
