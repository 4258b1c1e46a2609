import Foundation
import Providers
import Wire

/// Compares what the providers have with what the ledger says they should.
struct LeakFinder: Sendable {
  let ledger: Ledger
  let targets: Targets
  let installation: String

  func find(_ tenant: String) async throws -> CloudsAPI.Leaks {
    var leaks = CloudsAPI.Leaks(unaccounted: [], missing: [], unreachable: [:])
    // The ledger is read after the providers for strays, before them for what is missing: what comes or goes meanwhile
    // is then in neither list.
    let before = try await ledger.rows(tenant: tenant)
    var seen: [String: [CloudsAPI.Leaks.Stray]] = [:]
    for target in try await targets.list(tenant: tenant) {
      do { seen[target.id] = try await objects(of: tenant, at: target.id) } catch {
        let reason = (error as? ProviderError)?.description ?? "the target cannot be used; see the service's log"
        leaks.unreachable[target.id] = reason
      }
    }
    let after = Dictionary(grouping: try await ledger.rows(tenant: tenant), by: \.key)
    leaks.unaccounted = seen.values.joined().filter { after[$0.key] == nil }.sorted { $0.key < $1.key }
    leaks.missing = before.filter { row in
      guard row.wanted, row.state == .ready, after[row.key]?.first?.wanted == true else { return false }
      guard let found = seen[row.target] else { return false }
      return !found.contains { $0.key == row.key }
    }.map(\.entry)
    return leaks
  }

  private func objects(of tenant: String, at target: String) async throws -> [CloudsAPI.Leaks.Stray] {
    let provider = try await targets.provider(tenant: tenant, id: target)
    let tags = ["godwit-installation": installation, "godwit-tenant": tenant]
    func stray(_ kind: CloudsAPI.LedgerEntry.Kind, _ id: ResourceID, _ tags: Tags) -> CloudsAPI.Leaks.Stray {
      .init(kind: kind, key: id.rawValue, target: target, owner: tags["godwit-owner"])
    }
    let stored = try await provider.storage.list(tags: tags).map { resource in
      switch resource {
      case .volume(let volume): stray(.volume, volume.id, volume.tags)
      case .snapshot(let snapshot): stray(.snapshot, snapshot.id, snapshot.tags)
      case .machine(let machine): stray(.machine, machine.id, machine.tags)
      }
    }
    let machines = try await provider.compute.listMachines(tags: tags).map { stray(.machine, $0.id, $0.tags) }
    return stored + machines
  }
}
