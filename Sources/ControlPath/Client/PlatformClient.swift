import FoundationEssentials
import NIOCore
import NIOHTTP1
import ServiceKit
public import Wire

/// The platform's REST API as the command line uses it, for one tenant.
public struct PlatformClient: Sendable {
  let rest: RESTClient
  private let tenant: String

  public init(_ settings: ClientSettings) throws {
    rest = try settings.client()
    tenant = settings.tenant
  }

  func path(_ parts: String...) -> String {
    (["v1", "tenants", tenant] + parts).map { RESTClient.path($0) }.joined()
  }

  // MARK: Sources

  public func enrolmentToken() async throws -> MigrationAPI.EnrolmentToken {
    try await rest.post(path("enrolment-tokens"), [String: String]())
  }

  public func sources() async throws -> [MigrationAPI.Source] { try await all(path("sources")) }

  /// - Parameter name: an id, or the name of exactly one source.
  public func source(_ name: String) async throws -> MigrationAPI.Source {
    try pick(try await sources(), name, kind: "source", list: "godwit source list", id: \.id, name: \.name)
  }

  // MARK: Migrations

  public func migrations() async throws -> [MigrationAPI.Migration] { try await all(path("migrations")) }

  /// - Parameter name: an id, or the name of exactly one migration.
  public func migration(_ name: String) async throws -> MigrationAPI.Migration {
    try pick(
      try await migrations(), name, kind: "migration", list: "godwit migrate status", id: \.id, name: \.name)
  }

  public func start(_ wish: MigrationAPI.MigrationWish) async throws -> MigrationAPI.Migration {
    try await rest.post(path("migrations"), wish)
  }

  public func sync(_ migration: String, _ wish: MigrationAPI.SyncWish) async throws -> MigrationAPI.Sync {
    try await rest.post(path("migrations", migration, "syncs"), wish)
  }

  public func syncs(_ migration: String) async throws -> [MigrationAPI.Sync] {
    try await all(path("migrations", migration, "syncs"))
  }

  public func points(_ migration: String) async throws -> [MigrationAPI.Point] {
    try await all(path("migrations", migration, "points"))
  }

  public func point(id: String) async throws -> MigrationAPI.Point { try await rest.get(path("points", id)) }

  /// Has the target re-read a point.
  public func verify(point id: String) async throws -> MigrationAPI.Point {
    try await rest.post(path("points", id, "verify"), [String: String]())
  }

  /// The evidence file of a point.
  public func evidence(point id: String) async throws -> [UInt8] {
    Array(buffer: try await rest.send(.GET, path("points", id, "evidence"), limit: 2 << 30))
  }

  public func events(_ migration: String) async throws -> [MigrationAPI.Event] {
    try await all(path("migrations", migration, "events"))
  }

  /// The newest entries of the tenant's audit.
  public func audit(last count: Int) async throws -> [AuditAPI.Entry] {
    var (entries, after) = ([AuditAPI.Entry](), "")
    while entries.count < count {
      let page: MigrationAPI.Page<AuditAPI.Entry> = try await rest.get(
        path("audit") + "?limit=\(min(count - entries.count, 200))" + after)
      entries += page.items
      guard let next = page.next else { break }
      after = "&after=" + next
    }
    return entries
  }

  // MARK: Launches

  public func launch(_ migration: String, _ wish: MigrationAPI.LaunchWish) async throws -> MigrationAPI.Launch {
    try await rest.post(path("migrations", migration, "launches"), wish)
  }

  public func launches(_ migration: String) async throws -> [MigrationAPI.Launch] {
    try await all(path("migrations", migration, "launches"))
  }

  public func launch(id: String) async throws -> MigrationAPI.Launch { try await rest.get(path("launches", id)) }

  /// PNG.
  public func screenshot(launch id: String) async throws -> [UInt8] {
    try await rest.bytes(path("launches", id, "screenshot"))
  }

  public func remove(launch id: String) async throws { try await rest.delete(path("launches", id)) }

  // MARK: Steps

  /// `switch`, `rollback`, `finish`.
  public func step(_ name: String, _ migration: String, _ wish: MigrationAPI.LaunchWish? = nil) async throws
    -> MigrationAPI.Migration
  {
    try await rest.post(path("migrations", migration, name), wish ?? MigrationAPI.LaunchWish())
  }

  // MARK: -

  func all<Item: Codable & Hashable & Sendable>(_ path: String) async throws -> [Item] {
    var items: [Item] = []
    var after = ""
    while true {
      let page: MigrationAPI.Page<Item> = try await rest.get(path + "?limit=200" + after)
      items += page.items
      guard let next = page.next else { return items }
      after = "&after=" + next
    }
  }

  func pick<Item>(
    _ items: [Item], _ wanted: String, kind: String, list: String, id: (Item) -> String, name: (Item) -> String
  ) throws -> Item {
    if let exact = items.first(where: { id($0) == wanted }) { return exact }
    let named = items.filter { name($0) == wanted }
    if named.count == 1 { return named[0] }
    let found = named.isEmpty ? "There is no \(kind) '\(wanted)'." : "\(named.count) \(kind)s are named '\(wanted)'."
    throw Problem(
      code: "not_found", status: 404, detail: found, remedy: "See '\(list)' for what there is, and use the id.")
  }
}
