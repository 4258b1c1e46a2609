import Hummingbird
import ServiceKit
import Wire

/// Who did what to what, from where: the audit of the tenant.
struct ActivityPage {
  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/activity", .member) { visit in
      let after = visit.query("after").flatMap { UInt64($0) }.map { "&after=\($0)" } ?? ""
      let page = try await visit.api.get(
        .operations, "audit", query: "?limit=50" + after, as: MigrationAPI.Page<AuditAPI.Entry>.self)
      var view: View = ["rows": page.items.map { Self.row($0, visit) }, "any": !page.items.isEmpty]
      if let next = page.next { view["following"] = visit.path("activity") + "?after=" + next }
      return try visit.page("activity", title: visit.text("nav.activity"), section: .activity, view)
    }
  }

  private static func row(_ entry: AuditAPI.Entry, _ visit: Visit) -> View {
    let event = entry.event
    let parts = event.action.split(separator: " ")
    let method = parts.first.map { $0.lowercased() } ?? ""
    let template = parts.last.map(String.init) ?? event.action
    let key =
      method + "_"
      + template.replacing("/v1/tenants/{tenant}/", with: "").split { !$0.isLetter }
      .joined(separator: "_").replacing("_id", with: "")
    return [
      "at": visit.figures.instant(event.at), "actor": event.actor,
      "what": visit.words.find("audit", key) ?? event.action,
      "object": event.object, "from": event.from ?? "–", "support": event.request ?? "–",
      "outcome": visit.text("outcome." + event.outcome.rawValue), "tone": event.outcome == .done ? "good" : "bad"
    ]
  }
}
