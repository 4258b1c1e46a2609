import Foundation
import HTTPTypes
import Hummingbird
import Providers
import ServiceKit
import Wire

extension CloudsRoutes {
  func addVolumes(_ group: RouterGroup<ServiceContext>) {
    group.put("volumes/{id}") { request, context in
      var wish = try await request.json(CloudsAPI.VolumeWish.self)
      guard wish.size > 0, wish.size <= 1 << 46, wish.size % 512 == 0 else {
        throw Problem.malformed("'size' must be a multiple of 512 up to 64 TiB.")
      }
      let expiry = wish.expiresAt
      wish.expiresAt = nil
      let row = try await intend(.volume, context, wish.target, wish.owner, wish, expiry) { [wish] database in
        if let snapshot = wish.fromSnapshot { try needed(.snapshot, snapshot, wish.target, context.tenant, database) }
      }
      return try JSONAnswer(row.volume(), status: .accepted)
    }
    group.get("volumes/{id}") { _, context in
      try JSONAnswer(try await ledger.get(.volume, tenant: context.tenant, id: context.name()).volume())
    }
    group.delete("volumes/{id}") { _, context in try await release(.volume, context) }
    group.put("volumes/{id}/attachment") { _, context in try JSONAnswer(try await attach(context)) }
    group.delete("volumes/{id}/attachment") { _, context in
      let row = try await ledger.get(.volume, tenant: context.tenant, id: context.name())
      guard row.attached else { return HTTPResponse.Status.noContent }
      try await ask(row) { try await $0.storage.detachVolume(row.resource) }
      try await ledger.update(row) { ($0.attached, $0.location) = (false, nil) }
      return .noContent
    }
  }

  /// Attaching is quick and repeatable at every provider, so it is asked directly; that it was begun is durable before.
  private func attach(_ context: ServiceContext) async throws -> CloudsAPI.Attachment {
    let row = try await ledger.get(.volume, tenant: context.tenant, id: context.name())
    guard let gateway = gateways.first else {
      throw Problem(
        code: "no_gateway", status: 503, detail: "This installation has no gateway.",
        remedy: "Start one with 'godwit up'.")
    }
    guard row.wanted, row.state == .ready else {
      throw Problem(
        code: "not_ready", status: 409, detail: "Volume \(row.id) is \(row.shownState.rawValue).",
        remedy: "Ask again once it is ready.")
    }
    try await ledger.update(row) { $0.attached = true }
    let location = try await ask(row) { try await $0.storage.attachVolume(row.resource) }
    try await ledger.update(row) { $0.location = location }
    return .init(location: location, gateway: gateway)
  }

  func addSnapshots(_ group: RouterGroup<ServiceContext>) {
    group.put("snapshots/{id}") { request, context in
      var wish = try await request.json(CloudsAPI.SnapshotWish.self)
      let expiry = wish.expiresAt
      wish.expiresAt = nil
      let row = try await intend(.snapshot, context, wish.target, wish.owner, wish, expiry) { [wish] database in
        try needed(.volume, wish.volume, wish.target, context.tenant, database)
      }
      return try JSONAnswer(row.snapshot(), status: .accepted)
    }
    group.get("snapshots/{id}") { _, context in
      try JSONAnswer(try await ledger.get(.snapshot, tenant: context.tenant, id: context.name()).snapshot())
    }
    group.delete("snapshots/{id}") { _, context in try await release(.snapshot, context) }
  }
}

extension LedgerRow {
  func volume() throws -> CloudsAPI.Volume {
    let wish = try decodedWish(CloudsAPI.VolumeWish.self)
    return .init(
      id: id, state: shownState, size: wish.size, target: target, fromSnapshot: wish.fromSnapshot, owner: owner,
      expiresAt: expiresAt.map { Int($0) }, location: location, problem: decodedProblem)
  }

  func snapshot() throws -> CloudsAPI.Snapshot {
    let wish = try decodedWish(CloudsAPI.SnapshotWish.self)
    return .init(
      id: id, state: shownState, target: target, volume: wish.volume,
      size: decodedObserved(Snapshot.self)?.size ?? 0, owner: owner, expiresAt: expiresAt.map { Int($0) },
      problem: decodedProblem)
  }
}
