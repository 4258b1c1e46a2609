import GRDB
import Logging
import NIOCore
import ServiceKit
import ServiceLifecycle
import Wire
import Workflows

/// Which licences tenants have: asked of the licensing service, and kept for when it is away.
struct Licences: Sendable {
  let orchestrator: Orchestrator
  let keys: [[UInt8]]
  private let endpoint: RESTClient.Endpoint

  init?(_ orchestrator: Orchestrator) {
    guard let licensing = orchestrator.configuration.licensing else { return nil }
    (self.orchestrator, keys, endpoint) = (orchestrator, licensing.keys, licensing.endpoint)
  }

  /// Asks for the tenant's licences. While there is no answer what was said before stays.
  func confirm(_ tenant: String) async throws {
    let answered: [LicensingAPI.Issued]
    do { answered = try await ask(tenant) } catch let error as CancellationError { throw error } catch {
      orchestrator.logger.warning("licensing.away", metadata: ["tenant": "\(tenant)", "error": "\(error)"])
      return
    }
    let now = orchestrator.now()
    let copy = LicenceCopyRow(
      tenant: tenant, licences: answered.filter { $0.revokedAt == nil && $0.until > now - 366 * 86_400 }.map(\.licence),
      confirmedAt: now)
    // Not `write`: that would take the request's audit event away from the change it is about.
    try await orchestrator.database.pool.write { try copy.save($0) }
  }

  private func ask(_ tenant: String) async throws -> [LicensingAPI.Issued] {
    let issuer = ServiceTokenIssuer(name: "migration", key: orchestrator.configuration.key)
    let client = try RESTClient(name: "licensing", endpoint: endpoint, timeout: .seconds(3), repeats: false) {
      "Bearer " + (try issuer.token(for: "licensing", tenant: tenant))
    }
    var (items, after) = ([LicensingAPI.Issued](), String?.none)
    repeat {
      let page: MigrationAPI.Page<LicensingAPI.Issued> = try await client.get(
        RESTClient.path("v1", "tenants", tenant, "licences", query: ["limit": "200", "after": after]))
      items += page.items
      after = page.next
    } while after != nil
    return items
  }
}

extension Orchestrator {
  /// Nil where no seats are counted.
  var licences: Licences? { Licences(self) }

  /// What of the tenant's seats is in use.
  func seats(of tenant: String) async throws -> LicensingAPI.Seats {
    guard let licences else { return .init(counted: false, confirmedAt: nil, licences: [], seats: []) }
    let now = now()
    return try await database.pool.read { db in
      let copy = try LicenceCopyRow.fetchOne(db, key: tenant)
      let held = copy.map(SeatBook(keys: licences.keys).licences(of:)) ?? []
      let rows = try SeatRow.filter(Column("tenant") == tenant).order(Column("takenAt")).fetchAll(db)
      return .init(
        counted: true, confirmedAt: copy?.confirmedAt,
        licences: held.map { licence in
          .init(
            licence, used: rows.count { $0.licence == licence.id }, standing: licence.standing(at: now))
        }, seats: rows.map(\.view))
    }
  }
}

/// Keeps what is known of licences fresh, and the clock's mark.
struct LicenceKeeper: Service {
  let licences: Licences
  /// Seconds between two marks, and how many of them pass between two questions for licences.
  private static let (pause, rounds) = (60.0, 30)

  func run() async throws {
    let orchestrator = licences.orchestrator
    await cancelWhenGracefulShutdown {
      var round = 0
      while !Task.isCancelled {
        do {
          let now = orchestrator.now()
          try await orchestrator.database.pool.write { try SeatBook.see(now, $0) }
          if round % Self.rounds == 0 { try await confirmAll() }
        } catch is CancellationError { return } catch {
          orchestrator.logger.error("licences.keeping", metadata: ["error": "\(error)"])
        }
        round += 1
        do { try await orchestrator.configuration.clock.sleep(Self.pause) } catch { return }
      }
    }
  }

  private func confirmAll() async throws {
    let tenants = try await licences.orchestrator.database.pool.read {
      try String.fetchAll($0, sql: "SELECT tenant FROM licenceCopy")
    }
    for tenant in tenants { try await licences.confirm(tenant) }
  }
}
