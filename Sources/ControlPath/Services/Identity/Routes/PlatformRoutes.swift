import GRDB
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// The operator's routes.
struct PlatformRoutes: Sendable {
  let people: People
  let keys: SigningKeys
  let secondFactor: SecondFactor

  func add(to group: RouterGroup<ServiceContext>) {
    group.get("tenants") { request, _ in
      let (limit, after) = request.page
      let rows = try await people.database.pool.read { db in
        try TenantRecord.filter(Column("id") > (after ?? "")).order(Column("id")).limit(limit + 1).fetchAll(db)
      }
      return try JSONAnswer(MigrationAPI.Page(rows.map(\.view), limit, id: \.id))
    }
    group.post("tenants") { request, _ in
      try JSONAnswer(
        try await people.make(try await request.json(IdentityAPI.TenantWish.self)).view, status: .created)
    }
    group.get("users") { request, _ in
      let (limit, after) = request.page
      let rows = try await people.database.pool.read { db in
        try UserRecord.filter(Column("id") > (after ?? "")).order(Column("id")).limit(limit + 1).fetchAll(db)
      }
      return try JSONAnswer(MigrationAPI.Page(rows.map(\.view), limit, id: \.id))
    }
    group.post("users") { request, _ in
      try JSONAnswer(try await people.make(try await request.json(IdentityAPI.UserWish.self)).view, status: .created)
    }
    group.patch("users/{id}") { request, context in
      let change = try await request.json(IdentityAPI.UserChange.self)
      return try JSONAnswer(try await people.change(user: try context.parameter("id"), change).view)
    }
    group.delete("users/{id}/second-factor") { _, context in
      try await secondFactor.remove(try context.parameter("id"))
      return HTTPResponse.Status.noContent
    }
    group.get("signing-keys") { _, _ in try JSONAnswer(try await keys.published().map(\.view)) }
    group.post("signing-keys/rotate") { _, _ in try JSONAnswer(try await keys.rotate().view, status: .accepted) }
  }
}

extension MigrationAPI.Page {
  /// - Parameter rows: one more than `limit`, where there are more.
  init(_ rows: [Item], _ limit: Int, id: (Item) -> String) {
    let items = Array(rows.prefix(limit))
    self.init(items: items, next: rows.count > limit ? items.last.map(id) : nil)
  }
}
