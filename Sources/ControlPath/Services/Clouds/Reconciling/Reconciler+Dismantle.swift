import Foundation
import Logging
import Providers
import Wire

extension Reconciler {
  /// One step towards an object's end. The row goes only when the provider has not shown the object for the whole grace
  /// after the first delete, since one whose creation was just begun may be unseen, and come.
  func dismantle(_ row: LedgerRow, _ provider: Provider) async throws {
    let time = ledger.now()
    if row.deletedAt == nil { try await ledger.update(row) { ($0.state, $0.deletedAt) = (.deleting, time) } }
    let gone: Bool
    switch row.kind {
    case .volume:
      if row.attached { try await provider.storage.detachVolume(row.resource) }
      try await provider.storage.deleteVolume(row.resource)
      gone = try await provider.storage.volume(row.resource) == nil
    case .snapshot:
      try await provider.storage.deleteSnapshot(row.resource)
      gone = try await provider.storage.snapshot(row.resource) == nil
    case .machine:
      try await provider.compute.deleteMachine(row.resource)
      gone = try await provider.compute.machine(row.resource) == nil
    }
    if gone, let deletedAt = row.deletedAt, ledger.now() >= deletedAt + pace.grace {
      try await ledger.remove(row)
      logger.info(
        "object gone",
        metadata: ["object.kind": "\(row.kind.rawValue)", "object.id": "\(row.id)", "tenant": "\(row.tenant)"])
      poke()
      return
    }
    try await ledger.update(row) { [pace] row in
      (row.attempts, row.problem, row.nextAt) = (0, nil, time + min(pace.poll, max(pace.grace / 2, 0.01)))
    }
  }
}
