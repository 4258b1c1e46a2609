import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import Machines
import NIOCore
import Providers
import ServiceKit
import Wire

extension CloudsRoutes {
  func addMachines(_ group: RouterGroup<ServiceContext>) {
    group.put("machines/{id}") { request, context in
      var wish = try await request.json(CloudsAPI.MachineRequest.self)
      guard !wish.wish.volumes.isEmpty, (1...512).contains(wish.wish.cpus), wish.wish.memory >= 64 << 20 else {
        throw Problem.malformed("A machine needs volumes, 1 to 512 'cpus' and at least 64 MiB of 'memory'.")
      }
      let expiry = wish.expiresAt
      wish.expiresAt = nil
      let row = try await intend(.machine, context, wish.target, wish.owner, wish, expiry) { [wish] database in
        for volume in wish.wish.volumes { try needed(.volume, volume, wish.target, context.tenant, database) }
      }
      return try JSONAnswer(row.machine(), status: .accepted)
    }
    group.get("machines/{id}") { _, context in try JSONAnswer(try await machine(context).machine()) }
    group.delete("machines/{id}") { _, context in try await release(.machine, context) }
    group.post("machines/{id}/power") { request, context in
      let action = try await request.json(CloudsAPI.Power.self).action
      let row = try await machine(context)
      guard row.wanted, row.state == .ready else {
        throw Problem(
          code: "not_ready", status: 409, detail: "Machine \(row.id) is \(row.shownState.rawValue).",
          remedy: "Ask again once it runs.")
      }
      let time = ledger.now()
      try await ledger.update(row) { ($0.power, $0.nextAt) = (action.rawValue, time) }
      reconciler.poke()
      return HTTPResponse.Status.accepted
    }
    group.get("machines/{id}/console") { request, context in
      let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 64 << 10
      let row = try await machine(context)
      let bytes = try await ask(row) { try await $0.compute.console(row.resource, limit: min(max(limit, 0), 16 << 20)) }
      return Response(
        status: .ok, headers: [.contentType: "application/octet-stream"],
        body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
    group.get("machines/{id}/screenshot") { _, context in
      let row = try await machine(context)
      guard try row.machine().state == .running else {
        throw Problem(
          code: "not_ready", status: 409, detail: "Machine \(row.id) does not run, so it has no screen.",
          remedy: "Ask again once it runs.")
      }
      let bytes = try await ask(row) { try await $0.compute.screenshot(row.resource) }
      return Response(
        status: .ok, headers: [.contentType: "image/png"], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
  }

  private func machine(_ context: ServiceContext) async throws -> LedgerRow {
    try await ledger.get(.machine, tenant: context.tenant, id: context.name())
  }

  /// Writes a wish down and wakes the reconciler.
  func intend(
    _ kind: LedgerRow.Kind, _ context: ServiceContext, _ target: String, _ owner: String,
    _ wish: some Encodable & Sendable, _ expiresAt: Int?,
    depends: @escaping @Sendable (GRDB.Database) throws -> Void
  ) async throws -> LedgerRow {
    guard !owner.isEmpty, owner.utf8.count <= 128 else { throw Problem.malformed("'owner' must not be empty.") }
    let row = try await ledger.intend(
      kind, tenant: context.tenant, id: context.name(), target: target, owner: owner, wish: wish, expiresAt: expiresAt,
      installation: installation, depends: depends)
    reconciler.poke()
    return row
  }

  /// Refuses a wish that builds on something that is not there, or lies elsewhere.
  func needed(
    _ kind: LedgerRow.Kind, _ id: String, _ target: String, _ tenant: String, _ database: GRDB.Database
  ) throws {
    guard let row = try Ledger.find(database, kind, tenant, id), row.wanted else {
      throw Problem.notFound("\(kind.rawValue) \(id)")
    }
    guard row.target == target else {
      throw Problem.conflict("\(kind.rawValue) \(id) lies at target \(row.target).", remedy: "Use the same target.")
    }
  }
}

extension LedgerRow {
  func machine() throws -> CloudsAPI.Machine {
    let seen = decodedObserved(Machine.self)
    let state: MachineState =
      switch (shownState, seen?.state) {
      case (.creating, _): .creating
      case (.deleting, _): .deleting
      case (.failed, _): .failed
      case (.ready, .running): .running
      case (.ready, .stopped): .stopped
      case (.ready, .failed): .failed
      case (.ready, _): .creating
      }
    return .init(
      id: id, state: state, target: target, wish: try decodedWish(CloudsAPI.MachineRequest.self).wish,
      forwards: (seen?.forwards ?? []).map { .init(guestPort: $0.guestPort, address: $0.address) }, owner: owner,
      expiresAt: expiresAt.map { Int($0) }, problem: decodedProblem)
  }
}
