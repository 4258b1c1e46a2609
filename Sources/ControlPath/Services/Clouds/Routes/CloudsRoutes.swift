import Foundation
import HTTPTypes
import Hummingbird
import Providers
import ServiceKit
import Wire

/// The service's REST face, `CloudsAPI` as JSON under `/v1/tenants/{tenant}`.
struct CloudsRoutes: Sendable {
  let ledger: Ledger
  let targets: Targets
  let reconciler: Reconciler
  let gateways: [CloudsAPI.Gateway]
  let installation: String

  func add(to router: Router<ServiceContext>, tokens: TokenMiddleware) {
    let tenants = router.group("v1/tenants/{tenant}").add(middleware: tokens)
    addTargets(tenants)
    addVolumes(tenants)
    addSnapshots(tenants)
    addMachines(tenants)
    addLedger(tenants)
  }

  private func addTargets(_ group: RouterGroup<ServiceContext>) {
    group.get("targets") { _, context in try JSONAnswer(try await targets.list(tenant: context.tenant)) }
    group.put("targets/{id}") { request, context in
      let wish = try await request.json(CloudsAPI.TargetWish.self)
      return try JSONAnswer(
        try await targets.put(wish, tenant: context.tenant, id: context.name(), Precondition(request)))
    }
    group.get("targets/{id}") { _, context in
      try JSONAnswer(try await targets.get(tenant: context.tenant, id: context.name()))
    }
    group.delete("targets/{id}") { _, context in
      try await targets.delete(tenant: context.tenant, id: context.name())
      return HTTPResponse.Status.noContent
    }
    group.get("gateways") { _, _ in try JSONAnswer(gateways) }
  }

  private func addLedger(_ group: RouterGroup<ServiceContext>) {
    group.get("ledger") { request, context in
      let owner = request.uri.queryParameters["owner"].map(String.init)
      return try JSONAnswer(try await ledger.rows(tenant: context.tenant, owner: owner).map(\.entry))
    }
    group.get("leaks") { _, context in
      try JSONAnswer(
        try await LeakFinder(ledger: ledger, targets: targets, installation: installation).find(context.tenant))
    }
    group.delete("owners/{owner}") { _, context in
      try await ledger.releaseAll(tenant: context.tenant, owner: context.name("owner"))
      reconciler.poke()
      return HTTPResponse.Status.accepted
    }
  }

  /// Marks an object to go.
  func release(_ kind: LedgerRow.Kind, _ context: ServiceContext) async throws -> HTTPResponse.Status {
    try await ledger.release(kind, tenant: context.tenant, id: context.name())
    reconciler.poke()
    return .accepted
  }

  /// A request that asks the provider itself; its errors become problems.
  func ask<Value>(_ row: LedgerRow, _ body: (Provider) async throws -> Value) async throws -> Value {
    do { return try await body(try await targets.provider(tenant: row.tenant, id: row.target)) } catch let error
      as ProviderError
    { throw error.asProblem }
  }
}

extension ServiceContext {
  /// An id in the path.
  /// - Throws: `malformed_request` unless it is `[a-z0-9-]{1,63}`.
  func name(_ parameter: String = "id") throws -> String {
    let name = parameters.get(parameter) ?? ""
    let allowed = name.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D }
    guard allowed, (1...63).contains(name.utf8.count) else {
      throw Problem.malformed("'\(name)' is no id: a-z, 0-9 and -, at most 63.")
    }
    return name
  }
}

extension LedgerRow {
  var entry: CloudsAPI.LedgerEntry {
    .init(
      kind: kind, id: id, key: key, target: target, owner: owner, state: (wanted ? state : .deleting).rawValue,
      expiresAt: expiresAt.map { Int($0) }, createdAt: Int(createdAt))
  }
  var shownState: CloudsAPI.State {
    if !wanted { return .deleting }
    return switch state {
    case .intended, .creating: .creating
    case .ready: .ready
    case .deleting: .deleting
    case .failed: .failed
    }
  }
}
