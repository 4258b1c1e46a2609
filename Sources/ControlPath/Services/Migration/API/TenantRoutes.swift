import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// The tenants' side of the API, except migrations: enrolment tokens, sources, events.
struct TenantRoutes: Sendable {
  let orchestrator: Orchestrator

  func add(to tenant: RouterGroup<ServiceContext>) {
    tenant.post("enrolment-tokens") { _, context in
      try JSONAnswer(
        try await Enrolment(orchestrator: orchestrator).issue(
          tenant: try context.tenant, atMost: context.limits?.sources), status: .created)
    }
    tenant.get("sources") { request, context in
      let now = orchestrator.now()
      return try await page(SourceRow.self, request, context) { $0.view(at: now) }
    }
    tenant.get("sources/{id}") { _, context in
      let source = try await orchestrator.database.found(SourceRow.self, context)
      return try JSONAnswer(source.view(at: orchestrator.now()))
    }
    tenant.post("sources/{id}/clear") { _, context in
      let cleared = try await orchestrator.database.update(
        SourceRow.self, try context.tenant, try context.parameter("id")
      ) { ($0.problem, $0.formerInstances, $0.instance) = (nil, [], nil) }
      guard let cleared else { throw Problem.notFound("source") }
      return try JSONAnswer(cleared.view(at: orchestrator.now()))
    }
    tenant.delete("sources/{id}") { _, context in
      try await remove(try context.tenant, try context.parameter("id"))
      return Response(status: .noContent)
    }
    tenant.get("seats") { _, context in
      try JSONAnswer(try await orchestrator.seats(of: try context.tenant))
    }
    tenant.get("events") { request, context in try await page(EventRow.self, request, context, \.view) }
  }

  /// A source that no migration needs; its identity is void from then on.
  private func remove(_ tenant: String, _ id: String) async throws {
    try await orchestrator.database.write { db in
      let used = try MigrationRow.filter(Column("tenant") == tenant && Column("source") == id).fetchCount(db)
      guard used == 0 else {
        throw Problem.conflict(
          "The source \(id) has \(used) migrations.", remedy: "Remove them first; their history names the source.")
      }
      guard try SourceRow.filter(Column("tenant") == tenant && Column("id") == id).deleteAll(db) == 1 else {
        throw Problem.notFound("source \(id)")
      }
    }
  }

  func page<Row: TenantRow, View: Codable & Hashable & Sendable>(
    _ type: Row.Type, _ request: Request, _ context: ServiceContext, filter: [String: String] = [:],
    _ view: (Row) -> View
  ) async throws -> JSONAnswer {
    let (limit, after) = request.page
    let (rows, next) = try await orchestrator.database.list(
      type, try context.tenant, filter: filter, limit: limit, after: after)
    return try JSONAnswer(MigrationAPI.Page(items: rows.map(view), next: next))
  }
}

extension MigrationDatabase {
  /// The row that `{id}` of the path names.
  /// - Throws: `Problem` 404.
  func found<Row: TenantRow>(_ type: Row.Type, _ context: ServiceContext) async throws -> Row {
    let id = try context.parameter("id")
    guard let row = try await find(type, try context.tenant, id) else {
      throw Problem.notFound("\(Row.databaseTableName) \(id)")
    }
    return row
  }
}
