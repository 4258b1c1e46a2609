import Foundation
import Hummingbird
import Identity
import Licensing
import Logging
import Migration
import Operations
import Testing
import Wire

@testable import Clouds
@testable import ServiceKit

/// The documents, the routers and the tables of rights name the same routes.
struct RouteListTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test func `Every route of the identity service is documented, and nothing else is`() throws {
    try withFolder { folder in
      let service = try IdentityService(
        configuration: .init(folder: folder, bindings: [], bootstrap: nil), logger: Self.quiet)
      try expectSame("identity", APIDocument.routes(service.addRoutes), IdentityService.rights)
    }
  }

  @Test func `Every route of the migration service is documented, and nothing else is`() throws {
    try withFolder { folder in
      let service = try MigrationService(
        configuration: .init(
          database: folder + "/migration.sqlite", key: AgentKey(), bindings: [], callers: [:],
          clouds: .unix(path: "/nowhere"), publicURL: "", certificateAuthority: ""), logger: Self.quiet)
      try expectSame("migration", APIDocument.routes(service.addRoutes), MigrationService.rights)
    }
  }

  @Test func `Every route of the clouds service is documented, and nothing else is`() throws {
    try withFolder { folder in
      let database = try Database.open(folder + "/clouds.sqlite", migrations: CloudsSchema.migrations)
      let ledger = Ledger(database: database, now: { 0 })
      let targets = Targets(
        database: database, box: try SecretBox(keyFile: folder + "/key"), factories: [:],
        addresses: AddressGuard())
      let routes = CloudsRoutes(
        ledger: ledger, targets: targets,
        reconciler: Reconciler(ledger: ledger, targets: targets, pace: .init(), logger: Self.quiet), gateways: [],
        installation: "")
      let tokens = TokenMiddleware(
        services: ServiceTokenVerifier(audience: "clouds", keys: [:]), users: nil, rights: CloudsService.rights)
      try expectSame("clouds", APIDocument.routes { routes.add(to: $0, tokens: tokens) }, CloudsService.rights)
    }
  }

  @Test func `Every route of the operations service is documented, and nothing else is`() throws {
    try withFolder { folder in
      let service = try OperationsService(
        .init(folder: folder, bindings: [], callers: [:], key: AgentKey(), keyFile: folder + "/key"),
        logger: Self.quiet)
      try expectSame("operations", APIDocument.routes(service.addRoutes), OperationsService.rights)
    }
  }

  @Test func `Every route of the licensing service is documented, and nothing else is`() throws {
    try withFolder { folder in
      let service = try LicensingService(
        .init(folder: folder, key: AgentKey(), bindings: [], callers: [:], now: { 0 }), logger: Self.quiet)
      try expectSame("licensing", APIDocument.routes(service.addRoutes), LicensingService.rights)
    }
  }

  private func expectSame(_ name: String, _ routes: Set<String>, _ rights: RouteRights) throws {
    let status = ServiceStatus(name, checks: [], logger: Self.quiet)
    let every = APIDocument.routes { status.add(to: $0) }
    #expect(try Self.served(name) == routes.union(every), "/openapi.json is not what is served")
    let operations = try APIDocument(name).operations
    let documented = Set(operations.map(\.name))
    #expect(documented.count == operations.count)
    #expect(routes.subtracting(documented).sorted() == [], "served and not documented")
    #expect(documented.subtracting(routes).sorted() == [], "documented and not served")
    let named = operations.compactMap { operation in operation.right.map { (operation.name, $0) } }
    #expect(Dictionary(named) { first, _ in first } == rights.table.mapValues(\.rawValue))
    #expect(operations.allSatisfy { $0.success >= 200 })
    // A tenant's routes are nobody's without a right.
    #expect(operations.filter { $0.isOfTenant && $0.right == nil }.map(\.name) == [])
  }

  /// Method and path of every operation of what `/openapi.json` answers with.
  private static func served(_ name: String) throws -> Set<String> {
    let document = try JSONSerialization.jsonObject(with: try ServedDocument.json(of: name)) as? [String: Any]
    let paths = document?["paths"] as? [String: [String: Any]] ?? [:]
    return Set(
      paths.flatMap { path, item in item.keys.filter { $0 != "parameters" }.map { "\($0.uppercased()) \(path)" } })
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }
}
