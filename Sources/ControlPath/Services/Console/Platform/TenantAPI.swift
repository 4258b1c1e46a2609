import NIOCore
import NIOHTTP1
import ServiceKit
import Wire

/// The services' routes below one tenant, as one person asks them.
struct TenantAPI: Sendable {
  let person: Person
  let tenant: String

  private func path(_ parts: [String]) -> String {
    RESTClient.path("v1", "tenants", tenant) + parts.map { RESTClient.path($0) }.joined()
  }

  func get<Answer: Decodable>(
    _ service: Platform.Name, _ parts: String..., query: String = "", as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try Person.decode(try await person.send(.GET, service, path(parts) + query, tenant: tenant))
  }

  func bytes(_ service: Platform.Name, _ parts: String..., limit: Int = 8 << 20) async throws -> ByteBuffer {
    try await person.send(.GET, service, path(parts), tenant: tenant, limit: limit)
  }

  @discardableResult func post<Answer: Decodable>(
    _ service: Platform.Name, _ parts: String..., body: some Encodable = [String: String](),
    as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try Person.decode(
      try await person.send(.POST, service, path(parts), tenant: tenant, body: try Person.encode(body)))
  }

  func send(
    _ method: HTTPMethod, _ service: Platform.Name, _ parts: String..., body: some Encodable = [String: String]()
  ) async throws {
    _ = try await person.send(method, service, path(parts), tenant: tenant, body: try Person.encode(body))
  }
}

extension TenantAPI {
  typealias Page = MigrationAPI.Page

  func sources() async throws -> [MigrationAPI.Source] {
    try await get(.migration, "sources", query: "?limit=200", as: Page<MigrationAPI.Source>.self).items
  }

  func migrations() async throws -> [MigrationAPI.Migration] {
    var (items, after) = ([MigrationAPI.Migration](), "")
    repeat {
      let page = try await get(
        .migration, "migrations", query: "?limit=200" + after, as: Page<MigrationAPI.Migration>.self)
      items += page.items
      guard let next = page.next else { break }
      after = "&after=" + next
    } while items.count < Self.mostMigrations
    return items
  }

  /// More than a list of this console is for.
  static let mostMigrations = 5000

  func targets() async throws -> [CloudsAPI.Target] { try await get(.clouds, "targets") }

  func migration(_ id: String) async throws -> MigrationAPI.Migration { try await get(.migration, "migrations", id) }

  func sync(_ id: String) async throws -> MigrationAPI.Sync { try await get(.migration, "syncs", id) }

  func launches(_ migration: String) async throws -> [MigrationAPI.Launch] {
    try await get(
      .migration, "migrations", migration, "launches", query: "?limit=10", as: Page<MigrationAPI.Launch>.self
    ).items
  }

  func points(_ migration: String) async throws -> [MigrationAPI.Point] {
    try await get(
      .migration, "migrations", migration, "points", query: "?limit=20", as: Page<MigrationAPI.Point>.self
    ).items
  }
}
