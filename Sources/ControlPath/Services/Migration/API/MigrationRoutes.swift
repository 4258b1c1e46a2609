import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// Migrations, and what hangs on them.
struct MigrationRoutes: Sendable {
  let orchestrator: Orchestrator

  private var tenantRoutes: TenantRoutes { TenantRoutes(orchestrator: orchestrator) }
  private var actions: MigrationActions { MigrationActions(orchestrator: orchestrator) }

  func add(to tenant: RouterGroup<ServiceContext>) {
    addMigrations(to: tenant)
    addActions(to: tenant)
    addHistory(to: tenant)
    PointRoutes(orchestrator: orchestrator).add(to: tenant)
    addLaunches(to: tenant)
  }

  private func addMigrations(to tenant: RouterGroup<ServiceContext>) {
    tenant.post("migrations") { request, context in
      let wish = try await request.json(MigrationAPI.MigrationWish.self)
      let row = try await actions.create(wish, try context.tenant, atMost: context.limits?.migrations)
      return try JSONAnswer(row.view(activeSync: nil), status: .created)
    }
    tenant.get("migrations") { request, context in
      let active = try await activeSyncs(try context.tenant)
      return try await tenantRoutes.page(MigrationRow.self, request, context) { $0.view(activeSync: active[$0.id]) }
    }
    tenant.get("migrations/{id}") { _, context in
      try await answer(try await orchestrator.database.found(MigrationRow.self, context))
    }
    tenant.patch("migrations/{id}") { request, context in
      let change = try await request.json(MigrationAPI.MigrationChange.self)
      let (tenant, id) = (try context.tenant, try context.parameter("id"))
      return try await answer(try await actions.change(tenant, id, change, Precondition(request)))
    }
    tenant.delete("migrations/{id}") { _, context in
      let row = try await actions.finish(try context.tenant, try context.parameter("id"), keep: false)
      return try await answer(row, .accepted)
    }
  }

  private func addActions(to tenant: RouterGroup<ServiceContext>) {
    tenant.post("migrations/{id}/syncs") { request, context in
      let wish = try await request.json(MigrationAPI.SyncWish.self)
      let sync = try await orchestrator.beginSync(
        try context.tenant, try context.parameter("id"), mode: wish.mode, scrub: wish.scrub)
      return try JSONAnswer(sync.view, status: .accepted)
    }
    tenant.post("migrations/{id}/switch") { request, context in
      let wish = try await request.json(MigrationAPI.LaunchWish.self)
      let row = try await actions.beginSwitch(try context.tenant, try context.parameter("id"), wish)
      return try await answer(row, .accepted)
    }
    tenant.post("migrations/{id}/switch/abort") { _, context in
      try await answer(
        try await actions.abortSwitch(try context.tenant, try context.parameter("id")), .accepted)
    }
    tenant.post("migrations/{id}/rollback") { _, context in
      try await answer(try await actions.rollBack(try context.tenant, try context.parameter("id")), .accepted)
    }
    tenant.post("migrations/{id}/finish") { _, context in
      let row = try await actions.finish(try context.tenant, try context.parameter("id"), keep: true)
      return try await answer(row, .accepted)
    }
  }

  private func addHistory(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("migrations/{id}/syncs") { request, context in
      try await children(SyncRow.self, request, context, \.view)
    }
    tenant.get("migrations/{id}/points") { request, context in
      try await children(PointRow.self, request, context, \.view)
    }
    tenant.get("migrations/{id}/launches") { request, context in
      try await children(LaunchRow.self, request, context, \.view)
    }
    tenant.get("migrations/{id}/events") { request, context in
      try await children(EventRow.self, request, context, \.view)
    }
    tenant.get("syncs/{id}") { _, context in
      try JSONAnswer(try await orchestrator.database.found(SyncRow.self, context).view)
    }
    tenant.get("points/{id}") { _, context in
      try JSONAnswer(try await orchestrator.database.found(PointRow.self, context).view)
    }
  }

  private func addLaunches(to tenant: RouterGroup<ServiceContext>) {
    tenant.post("migrations/{id}/launches") { request, context in
      let wish = try await request.json(MigrationAPI.LaunchWish.self)
      let (tenant, id) = (try context.tenant, try context.parameter("id"))
      let launch = try await actions.beginTest(tenant, id, wish, atMost: context.limits?.launches)
      return try JSONAnswer(launch.view, status: .accepted)
    }
    tenant.get("launches/{id}") { _, context in
      try JSONAnswer(try await orchestrator.database.found(LaunchRow.self, context).view)
    }
    tenant.delete("launches/{id}") { _, context in
      let launch = try await orchestrator.database.found(LaunchRow.self, context)
      try await actions.remove(launch)
      return try JSONAnswer(launch.view, status: .accepted)
    }
    tenant.get("launches/{id}/screenshot") { _, context in
      let (tenant, id) = (try context.tenant, try context.parameter("id"))
      let picture = try await orchestrator.database.pool.read { db in
        try ScreenshotRow.filter(Column("tenant") == tenant && Column("launch") == id).fetchOne(db)
      }
      guard let picture else { throw Problem.notFound("screenshot of launch \(id)") }
      return Response(
        status: .ok, headers: [.contentType: "image/png"],
        body: .init(byteBuffer: .init(bytes: picture.png)))
    }
  }

  private func children<Row: TenantRow, View: Codable & Hashable & Sendable>(
    _ type: Row.Type, _ request: Request, _ context: ServiceContext, _ view: (Row) -> View
  ) async throws -> JSONAnswer {
    let migration = try await orchestrator.database.found(MigrationRow.self, context)
    return try await tenantRoutes.page(type, request, context, filter: ["migration": migration.id], view)
  }

  private func answer(_ row: MigrationRow, _ status: HTTPResponse.Status = .ok) async throws -> JSONAnswer {
    try JSONAnswer(row.view(activeSync: try await activeSyncs(row.tenant)[row.id]), status: status)
  }

  /// Running syncs by migration.
  private func activeSyncs(_ tenant: String) async throws -> [String: String] {
    let running = try await orchestrator.database.pool.read { db in
      try SyncRow.filter(Column("tenant") == tenant && Column("endedAt") == nil).fetchAll(db)
    }
    return Dictionary(running.map { ($0.migration, $0.id) }, uniquingKeysWith: { first, _ in first })
  }
}
