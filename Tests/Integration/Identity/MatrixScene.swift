import Foundation
import Machines
import NIOCore
import NIOHTTP1
import ServiceKit
import Synchronization
import Wire

/// Two tenants: `acme` with one of everything, and `globex` whose users know its ids. All users of each role are there.
struct MatrixScene: Sendable {
  static let (own, foreign) = ("globex", "acme")
  /// They end a migration, or need a switch before them.
  static let endings: Set<String> = Set(
    ["switch", "switch/abort", "rollback", "finish"].map { "POST /v1/tenants/{tenant}/migrations/{id}/" + $0 })
  /// Statuses of the owner's where this scene has not what the route wants: evidence is made by real agents and gateways
  /// (`PlatformEvidenceTests`).
  static let unlike = ["GET /v1/tenants/{tenant}/points/{id}/evidence": 409]
  let plane: ControlPlane
  let agent: SimulatedAgent
  let owner: Owner
  /// Access tokens by tenant and role; those of the operator's users under the empty name.
  private(set) var tokens: [String: [Role: String]] = [:]
  /// What stands for `{id}` or `{owner}`, by the path up to it and for single operations.
  private(set) var ids: [String: String] = [:]
  private(set) var bodies: [String: String] = [:]
  private(set) var migration = ""

  private var identity: IdentityHarness

  init(_ plane: ControlPlane) throws {
    (self.plane, agent) = (plane, SimulatedAgent(plane))
    owner = Owner(plane: plane, tenant: Self.foreign)
    identity = IdentityHarness(folder: plane.folder, admin: try plane.adminToken)
  }

  func socket(of document: String) -> String {
    switch document {
    case "identity": plane.identitySocket
    case "clouds": plane.cloudsSocket
    case "licensing": plane.licensingSocket
    default: plane.migrationSocket
    }
  }

  func token(_ tenant: String, _ role: Role) -> String? { tokens[tenant]?[role] }

  /// Everything but what the agent has to do for it.
  mutating func prepare() async throws {
    try await owner.insisting { [identity] in try await identity.tenant(Self.foreign) }
    let sessions = try await people()
    try await tenantsOwn(sessions)
    try await objects()
    try await licences()
    let spare = SimulatedAgent(plane)
    let token: MigrationAPI.EnrolmentToken = try await owner.post("enrolment-tokens")
    try await spare.enrol(token.token)
    ids["sources"] = spare.state.withLock { $0.source }
    migration = try await owner.begin(agent).id
    ids["migrations"] = migration
  }

  /// What there is once the migration, whose agent runs, is in sync: a point, and a test that runs.
  mutating func settle() async throws {
    _ = try await owner.migration(migration) { $0.state == .insync }
    let launch: MigrationAPI.Launch = try await owner.post(
      "migrations/\(migration)/launches", MigrationAPI.LaunchWish())
    _ = try await owner.until("launches/\(launch.id)", as: MigrationAPI.Launch.self) { $0.state == .running }
    let point = try await owner.points(migration).first
    (ids["launches"], ids["points"], ids["syncs"]) = (launch.id, point?.id, point?.sync)
    let wish = MigrationAPI.MigrationWish(
      name: "spare", source: agent.state.withLock { $0.source }, target: "cloud", key: "spare")
    let spare: MigrationAPI.Migration = try await owner.post("migrations", wish)
    _ = try await owner.migration(spare.id) { $0.state == .insync && $0.activeSync == nil }
    ids["DELETE /v1/tenants/{tenant}/migrations/{id}"] = spare.id
    bodies["POST /v1/tenants/{tenant}/migrations"] = try Self.json(wish)
    bodies["PATCH /v1/tenants/{tenant}/migrations/{id}"] = #"{"name":"renamed"}"#
  }

  /// The path of an operation as a tenant names it.
  func path(_ operation: APIDocument.Operation, tenant: String) -> String {
    let collection = operation.path.split(separator: "/").dropFirst(operation.isOfTenant ? 3 : 1).first ?? ""
    let id = ids[operation.name] ?? ids[String(collection)] ?? "none"
    return operation.path.replacingOccurrences(of: "{tenant}", with: tenant)
      .replacingOccurrences(of: "{id}", with: id).replacingOccurrences(of: "{owner}", with: id)
  }

  func body(_ operation: APIDocument.Operation) -> String? {
    bodies[operation.name] ?? (["POST", "PUT", "PATCH"].contains(operation.method) ? "{}" : nil)
  }

  private static func json(_ value: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
  }

  /// The access tokens; answers with the sessions of the tenant whose ids are foreign.
  private mutating func people() async throws -> [Role: IdentityAPI.Session] {
    var sessions: [Role: IdentityAPI.Session] = [:]
    for tenant in [Self.foreign, Self.own] {
      if tenant != Self.foreign { try await identity.tenant(tenant) }
      for role in Role.allCases where role.isTenantRole {
        let session = try await identity.join(tenant, role)
        tokens[tenant, default: [:]][role] = try await identity.grant(session.token, tenant: tenant).accessToken
        if tenant == Self.foreign { sessions[role] = session }
      }
    }
    for role in Role.allCases where !role.isTenantRole {
      let session = try await identity.operate(role)
      tokens["", default: [:]][role] = try await identity.grant(session.token).accessToken
      guard role == .platformAdmin else { continue }
      tokens[Self.foreign]?[role] = try await identity.grant(session.token, tenant: Self.foreign).accessToken
    }
    return sessions
  }

  /// Users, invitations, API tokens.
  private mutating func tenantsOwn(_ sessions: [Role: IdentityAPI.Session]) async throws {
    let client = try identity.client(token(Self.foreign, .owner))
    let base = "/v1/tenants/\(Self.foreign)/"
    let invitation: IdentityAPI.Invitation = try await client.post(
      base + "invitations", IdentityAPI.InvitationWish(email: "new@acme.example", role: .viewer))
    let token: IdentityAPI.APIToken = try await client.post(
      base + "api-tokens", IdentityAPI.APITokenWish(name: "ci", scopes: [.read], expiresIn: 3600))
    ids["users"] = sessions[.viewer]?.user.id
    (ids["invitations"], ids["api-tokens"]) = (invitation.id, token.id)
    ids["PATCH /v1/users/{id}"] = try await identity.join("default", .viewer).user.id
    bodies["PATCH /v1/tenants/{tenant}"] = #"{"name":"Acme"}"#
    bodies["PUT /v1/tenants/{tenant}/limits"] =
      #"{"requests":100000,"sources":1000,"migrations":1000,"launches":100}"#
    bodies["PUT /v1/tenants/{tenant}/users/{id}"] = #"{"role":"viewer"}"#
    bodies["POST /v1/tenants/{tenant}/invitations"] = #"{"email":"x@acme.example","role":"viewer"}"#
    bodies["POST /v1/tenants/{tenant}/api-tokens"] = #"{"name":"x","scopes":["read"],"expiresIn":60}"#
    let provider =
      #"{"name":"P","issuer":"https://idp.example","clientID":"c","clientSecret":"s","tenant":"default","#
      + #""role":"viewer","redirectURIs":["https://console.example/back"]}"#
    bodies["PUT /v1/sign-on-providers/{id}"] = provider
    ids["sign-on-providers"] = "corp"
    _ = try await identity.client(identity.admin.text).send(
      .PUT, "/v1/sign-on-providers/corp", body: .init(string: provider))
    bodies["POST /v1/tenants"] = #"{"id":"initech","name":"Initech"}"#
    bodies["POST /v1/users"] =
      #"{"email":"o@operator.example","name":"O","password":"a long password","platformRole":"support"}"#
  }

  private mutating func licences() async throws {
    let wish = LicensingAPI.Wish(tenant: Self.foreign, edition: .standard, seats: 1, days: 1, key: "matrix")
    let issued = try await owner.insisting { [owner] in
      try await owner.licensing.post("/v1/licences", wish, as: LicensingAPI.Issued.self)
    }
    ids["licences"] = issued.id
    bodies["POST /v1/licences"] = try Self.json(wish)
    bodies["POST /v1/licences/check"] = try Self.json(LicensingAPI.Check(licence: issued.licence))
  }

  /// Objects at the target that nobody else needs.
  private mutating func objects() async throws {
    let target = CloudsAPI.TargetWish(provider: "fake", endpoint: plane.endpoint)
    for name in ["cloud", "spare"] {
      _ = try await owner.insisting { [owner] in
        try await owner.clouds.put(owner.path("targets/\(name)"), target, as: CloudsAPI.Target.self)
      }
    }
    func volume(_ owner: String) -> CloudsAPI.VolumeWish { .init(target: "cloud", size: 1 << 20, owner: owner) }
    let shape = MachineWish(
      role: .guest, cpus: 1, memory: 256 << 20, firmware: .bios, volumes: ["machine-volume"], network: .isolated,
      forwardedPorts: [22])
    let wishes = [
      ("volumes/spare-volume", try Self.json(volume("spare"))),
      ("volumes/machine-volume", try Self.json(volume("spare"))),
      ("volumes/lone-volume", try Self.json(volume("lone"))),
      (
        "snapshots/spare-snapshot",
        try Self.json(CloudsAPI.SnapshotWish(target: "cloud", volume: "spare-volume", owner: "spare"))
      ),
      ("machines/spare-machine", try Self.json(CloudsAPI.MachineRequest(target: "cloud", wish: shape, owner: "spare")))
    ]
    for (path, body) in wishes {
      _ = try await owner.clouds.send(.PUT, owner.path(path), body: .init(string: body))
      try await ready(path)
    }
    let base = "PUT /v1/tenants/{tenant}/"
    (ids["targets"], ids["owners"]) = ("spare", "lone")
    for kind in ["volume", "snapshot", "machine"] { ids[kind + "s"] = "spare-" + kind }
    bodies[base + "targets/{id}"] = try Self.json(target)
    for (path, body) in wishes where path.contains("spare") {
      bodies[base + path.prefix { $0 != "/" } + "/{id}"] = body
    }
    bodies["POST /v1/tenants/{tenant}/machines/{id}/power"] = #"{"action":"start"}"#
  }

  private func ready(_ path: String) async throws {
    struct Seen: Decodable { var state: String }
    for _ in 0..<400 {
      let seen: Seen = try await owner.clouds.get(owner.path(path))
      if ["ready", "running"].contains(seen.state) { return }
      try await Task.sleep(for: .milliseconds(25))
    }
    throw Owner.TookTooLong(description: "\(path) did not get ready")
  }
}
