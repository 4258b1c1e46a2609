import Foundation
import ServiceKit
import Synchronization
import Testing
import Wire

/// Every route that wants an access token, asked by every role, about ids that exist and belong to somebody else; and by
/// their owner. `RouteListTests` proves that these are all routes there are.
@Suite(.timeLimit(.minutes(3)), .serialized) struct RouteMatrixTests {
  private static let documents = ["identity", "clouds", "migration", "licensing"]

  private static let platformDocuments = ["identity", "licensing"]

  /// What each role may do, written down apart from the product's own table.
  private static let may: [Role: Set<String>] = [
    .viewer: ["read"], .migrator: ["read", "migrate"], .admin: ["read", "migrate", "configure"],
    .owner: ["read", "migrate", "configure", "own"], .support: ["operate"], .finance: ["operate", "license"],
    .sre: ["operate", "keys"],
    .platformAdmin: ["read", "migrate", "configure", "own", "operate", "keys", "license", "platform"]
  ]

  @Test func `What belongs to another tenant does not exist for any role on any route, and does for its owner`()
    async throws
  {
    try await ControlPlane.test(running: false) { plane, _ in
      var plane = plane
      plane.hasIdentity = true
      plane.evaluationSeats = 25
      let whole = plane
      try await plane.whileRunning(plane.services()) {
        var scene = try MatrixScene(whole)
        try await scene.prepare()
        let agent = scene.agent
        async let life: Void = agent.run()
        try await scene.settle()
        try await strangers(scene)
        try await operators(scene)
        try await owners(scene)
        try await endings(scene)
        try await life
      }
    }
  }

  /// Nobody gets in who may not, and nothing was changed by trying.
  private func strangers(_ scene: MatrixScene) async throws {
    let before = try await inventory(scene)
    var cases = 0
    for document in Self.documents {
      for operation in try APIDocument(document).operations where operation.isOfTenant {
        for (tenant, token, expected) in expectations(operation, scene) {
          let answer = try await RawRequest.send(
            operation.method, scene.path(operation, tenant: tenant), socket: scene.socket(of: document), token: token,
            body: scene.body(operation))
          #expect(answer.status == expected, "\(operation.name) of \(tenant): \(answer.body)")
          cases += 1
        }
      }
    }
    let changed = Set(try await inventory(scene)).symmetricDifference(before)
    #expect(changed.isEmpty, "\(changed)")
    #expect(cases > 900)
    print("route matrix: \(cases) cases of strangers")
  }

  /// Who asks in whose name, and what the answer is.
  private func expectations(_ operation: APIDocument.Operation, _ scene: MatrixScene) -> [(String, String?, Int)] {
    let (own, foreign) = (MatrixScene.own, MatrixScene.foreign)
    var list: [(String, String?, Int)] = [(foreign, nil, 401), (foreign, "gwt_nothing", 401), (foreign, "a.b.c", 401)]
    for role in Role.allCases where role.isTenantRole {
      let isAllowed = Self.may[role]?.contains(operation.right ?? "") == true
      if operation.hasID { list.append((own, scene.token(own, role), isAllowed ? 404 : 403)) }
      list.append((foreign, scene.token(own, role), 404))
      if !isAllowed { list.append((foreign, scene.token(foreign, role), 403)) }
    }
    for role in Role.allCases where !role.isTenantRole { list.append((foreign, scene.token("", role), 404)) }
    return list
  }

  /// The operator's own routes.
  private func operators(_ scene: MatrixScene) async throws {
    for (document, operation) in try Self.platformDocuments.flatMap({ name in
      try APIDocument(name).operations.map { (name, $0) }
    }) {
      guard !operation.isOfTenant, let right = operation.right else { continue }
      for role in Role.allCases {
        let token = role.isTenantRole ? scene.token(MatrixScene.foreign, role) : scene.token("", role)
        let answer = try await RawRequest.send(
          operation.method, scene.path(operation, tenant: ""), socket: scene.socket(of: document), token: token,
          body: scene.body(operation))
        let isAllowed = Self.may[role]?.contains(right) == true
        #expect(answer.status == (isAllowed ? operation.success : 403), "\(operation.name) by \(role): \(answer.body)")
      }
    }
  }

  /// All that can be asked without an end of the migration.
  private func owners(_ scene: MatrixScene) async throws {
    var asked: Set<String> = []
    for document in Self.documents {
      let all = try APIDocument(document).operations.filter { $0.isOfTenant && !MatrixScene.endings.contains($0.name) }
      // What reads, then what makes and changes, then what removes; what depends on something before that.
      let deletions = all.filter { $0.method == "DELETE" && !$0.path.hasSuffix("/attachment") }
      let rest = all.filter { operation in !deletions.contains(operation) }
      let order = rest.filter { $0.method == "GET" } + rest.filter { $0.method != "GET" } + deletions.reversed()
      for operation in order {
        try await expectSuccess(operation, document, scene)
        asked.insert(operation.name)
      }
    }
    let left = try Self.documents.flatMap { try APIDocument($0).operations }.filter(\.isOfTenant).map(\.name)
    #expect(Set(left).subtracting(asked) == MatrixScene.endings)
  }

  /// Abort, rollback and finish: each needs a switch before it.
  private func endings(_ scene: MatrixScene) async throws {
    let (owner, agent, id) = (scene.owner, scene.agent, scene.migration)
    let operations = try APIDocument("migration").operations
    func ask(_ action: String) async throws {
      let operation = try #require(operations.first { $0.path.hasSuffix("/migrations/{id}/" + action) })
      try await expectSuccess(operation, "migration", scene)
    }
    _ = try await owner.migration(id) { $0.activeSync == nil && [.insync, .testing, .ready].contains($0.state) }
    agent.state.withLock { $0.holdsFinal = true }
    try await ask("switch")
    _ = try await owner.until("migrations/\(id)/syncs", as: MigrationAPI.Page<MigrationAPI.Sync>.self) {
      $0.items.first?.final == true && $0.items.first?.progress != nil
    }
    try await ask("switch/abort")
    _ = try await owner.migration(id) { $0.state == .insync }
    agent.state.withLock { $0.holdsFinal = false }
    try await ask("switch")
    _ = try await owner.migration(id) { $0.switchedAt != nil || $0.problem != nil }
    try await ask("rollback")
    _ = try await owner.migration(id) { $0.problem?.code == "start_the_source" }
    agent.state.withLock { ($0.ended, $0.instance) = (false, "boot-2") }
    async let second: Void = agent.run()
    _ = try await owner.migration(id) { $0.state == .insync && $0.activeSync == nil }
    try await ask("switch")
    _ = try await owner.migration(id) { $0.switchedAt != nil || $0.problem != nil }
    try await ask("finish")
    try await second
  }

  private func expectSuccess(_ operation: APIDocument.Operation, _ document: String, _ scene: MatrixScene) async throws
  {
    let role = Self.may[.owner]?.contains(operation.right ?? "") == true ? Role.owner : .platformAdmin
    let answer = try await RawRequest.send(
      operation.method, scene.path(operation, tenant: MatrixScene.foreign), socket: scene.socket(of: document),
      token: scene.token(MatrixScene.foreign, role), body: scene.body(operation))
    #expect(
      answer.status == MatrixScene.unlike[operation.name] ?? operation.success, "\(operation.name): \(answer.body)")
  }

  /// What strangers could have changed.
  private func inventory(_ scene: MatrixScene) async throws -> [String] {
    let token = scene.token(MatrixScene.foreign, .owner)
    var seen: [String] = []
    for (document, rest) in [
      ("identity", ""), ("identity", "/users"), ("identity", "/invitations"), ("identity", "/api-tokens"),
      ("clouds", "/targets"), ("migration", "/launches/\(scene.ids["launches"] ?? "")")
    ] {
      let answer = try await RawRequest.send(
        "GET", "/v1/tenants/\(MatrixScene.foreign)\(rest)", socket: scene.socket(of: document), token: token)
      seen.append(answer.body)
    }
    let migrations: MigrationAPI.Page<MigrationAPI.Migration> = try await scene.owner.get("migrations")
    let entries = try await scene.owner.ledger().map { "\($0.kind) \($0.id) \($0.state)" }
    return seen + migrations.items.map { "\($0.id) \($0.name) \($0.switchedAt ?? 0)" } + entries.sorted()
  }
}
