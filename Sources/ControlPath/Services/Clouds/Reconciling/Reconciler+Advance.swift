import Foundation
import Logging
import Machines
import Providers
import ServiceKit
import Wire

extension Reconciler {
  /// One step towards a wanted object.
  func advance(_ row: LedgerRow, _ provider: Provider) async throws {
    switch row.kind {
    case .volume: try await advanceVolume(row, provider.storage)
    case .snapshot: try await advanceSnapshot(row, provider.storage)
    case .machine: try await advanceMachine(row, provider.compute)
    }
  }

  private func advanceVolume(_ row: LedgerRow, _ storage: any Storage) async throws {
    let wish = try row.decodedWish(CloudsAPI.VolumeWish.self)
    var origin: ResourceID?
    if let snapshot = wish.fromSnapshot {
      guard let key = try await readyKey(.snapshot, snapshot, of: row) else { return }
      origin = key
    }
    let volume = try await storage.createVolume(row.resource, size: wish.size, from: origin, tags: row.decodedTags())
    try await settle(row, observed: volume, volume.state)
  }

  private func advanceSnapshot(_ row: LedgerRow, _ storage: any Storage) async throws {
    let wish = try row.decodedWish(CloudsAPI.SnapshotWish.self)
    guard let volume = try await readyKey(.volume, wish.volume, of: row) else { return }
    let snapshot = try await storage.createSnapshot(row.resource, of: volume, tags: row.decodedTags())
    try await settle(row, observed: snapshot, snapshot.state)
  }

  private func advanceMachine(_ row: LedgerRow, _ compute: any Compute) async throws {
    if row.state == .ready { return try await watch(row, compute) }
    var wish = try row.decodedWish(CloudsAPI.MachineRequest.self).wish
    for (index, id) in wish.volumes.enumerated() {
      guard let key = try await readyKey(.volume, id, of: row) else { return }
      wish.volumes[index] = key.rawValue
    }
    let machine = try await compute.createMachine(row.resource, wish, tags: row.decodedTags())
    let state: ResourceState =
      switch machine.state {
      case .creating: .creating
      case .running, .stopped: .ready
      case .deleting: .deleting
      case .failed: .failed
      }
    try await settle(row, observed: machine, state)
  }

  /// Carries out a power action, and looks at the machine again.
  private func watch(_ row: LedgerRow, _ compute: any Compute) async throws {
    switch row.power.flatMap(CloudsAPI.Power.Action.init) {
    case .stop: try await compute.stopMachine(row.resource)
    case .start: try await compute.startMachine(row.resource)
    case nil: break
    }
    let machine = try await compute.machine(row.resource)
    let observed = try machine.map { try LedgerRow.encoded($0) }
    let (done, time) = (row.power, ledger.now())
    try await ledger.update(row) { [pace] row in
      // A newer action that came meanwhile stays.
      if row.power == done { row.power = nil }
      if let observed { row.observed = observed }
      (row.attempts, row.nextAt) = (0, time + pace.poll)
      if machine?.state == .failed { row.state = .failed }
      row.problem = nil
    }
  }

  /// The provider's id of what this object builds on, or nil while that is still in the making.
  private func readyKey(_ kind: LedgerRow.Kind, _ id: String, of row: LedgerRow) async throws -> ResourceID? {
    guard let other = try await ledger.find(kind, tenant: row.tenant, id: id), other.wanted, !other.isDead else {
      throw Problem(
        code: "dependency_missing", status: 409,
        detail: "\(kind.rawValue) \(id), which it builds on, is gone or failed.",
        remedy: "Delete this one and begin again from something that exists.")
    }
    if other.state == .ready { return other.resource }
    let time = ledger.now()
    try await ledger.update(row) { [pace] in $0.nextAt = time + pace.poll / 4 }
    return nil
  }

  private func settle(_ row: LedgerRow, observed: some Encodable & Sendable, _ state: ResourceState) async throws {
    let (encoded, time) = (try LedgerRow.encoded(observed), ledger.now())
    let failed = Problem(
      code: "target_failed", status: 502, detail: "The provider could not make \(row.kind.rawValue) \(row.id).",
      remedy: "Delete it and try again; the provider's own log may say why.")
    let problem = state == .failed ? try LedgerRow.encoded(failed) : nil
    try await ledger.update(row) { [pace] row in
      (row.observed, row.problem, row.attempts, row.nextAt) = (encoded, problem, 0, time + pace.poll / 4)
      row.state =
        switch state {
        case .creating, .deleting: .creating
        case .ready: .ready
        case .failed: .failed
        }
    }
    if state == .ready {
      logger.info(
        "object ready",
        metadata: ["object.kind": "\(row.kind.rawValue)", "object.id": "\(row.id)", "tenant": "\(row.tenant)"])
      poke()
    }
  }
}
