import Foundation
import GRDB
import NIOCore
import NIOHTTP1
import ServiceKit
import Wire
import Workflows

/// A final sync is never given up on an opinion: whether it was sealed is asked of the gateway, which then either shows
/// the receipt or never seals that session.
extension Orchestrator {
  /// Before a final sync is abandoned: has the gateway decide it. Nil once it is retired and the agent was heard, or had
  /// its time. Where it was sealed the sync goes on to its point.
  func concludeFinal(_ state: inout SyncState, _ context: WorkflowContext) async throws -> StepOutcome? {
    guard let sync = try await database.find(SyncRow.self, context.tenant, state.sync), sync.final,
      sync.state == .running, let command = try await database.find(CommandRow.self, context.tenant, sync.command)
    else { return nil }
    // An agent that says that its source runs never saw a seal; a receipt that was refused is not asked for again.
    if command.report?.sourceRuns == true || state.isAdopted == true { return nil }
    if state.isRetired != true {
      let answer: ConcludeAnswer
      do { answer = try await askGateway(sync, state, retire: true) } catch let problem as Problem {
        try await tellOwner(sync, problem)
        return context.again(in: 5)
      }
      switch answer.state {
      case .undecided: return context.again(in: 2)
      case .sealed:
        try await adopt(answer.receipt, sync, command)
        state.isAdopted = true
        return .next("verify")
      case .retired:
        state.isRetired = true
        state.wordDeadline = now() + Int(configuration.agentSilence)
        try await tellAgent(command, .retired)
      }
    }
    return command.ended || now() >= state.wordDeadline ?? 0 ? nil : later(context)
  }

  /// Whether an agent that is silent had its final sync sealed: then the receipt is here now.
  func wasSealedUnheard(
    _ sync: SyncRow, _ command: CommandRow, _ state: SyncState, _ context: WorkflowContext
  ) async throws -> Bool {
    let migration = try await migration(context.tenant, sync.migration)
    guard let source = try await database.find(SourceRow.self, context.tenant, migration.source),
      now() - source.lastSeenAt >= Int(configuration.agentSilence),
      let answer = try? await askGateway(sync, state, retire: false), answer.state == .sealed
    else { return false }
    try await adopt(answer.receipt, sync, command)
    return true
  }

  /// The gateway's receipt stands for the agent's report that was never heard. The command stays open: an agent that
  /// comes back frozen needs it to power its machine off.
  private func adopt(_ receipt: SealReceipt?, _ sync: SyncRow, _ command: CommandRow) async throws {
    try await database.write { db in
      try MigrationDatabase.update(CommandRow.self, command.tenant, command.id, db) {
        $0.report = AgentReport(command: command.id, state: .done, receipt: receipt)
      }
      try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) { $0.problem = nil }
    }
    // Where the agent is cut off from its gateway it learns of the seal from us, and powers the source off.
    try await tellAgent(command, .sealed)
  }

  private func tellAgent(_ command: CommandRow, _ conclusion: AgentCommand.Conclusion) async throws {
    let word = CommandRow(
      id: "conclude-" + command.id, tenant: command.tenant, source: command.source,
      body: .cancel(command: command.id, conclusion: conclusion), ended: false, createdAt: now())
    try await database.write { try word.insert($0, onConflict: .ignore) }
  }

  private func tellOwner(_ sync: SyncRow, _ problem: Problem) async throws {
    try await database.write { db in
      _ = try MigrationDatabase.update(SyncRow.self, sync.tenant, sync.id, db) {
        $0.problem = Problem(
          code: "gateway_undecided", status: 503,
          detail: "Whether the final sync was sealed is known to its gateway alone, which does not say: "
            + problem.detail, remedy: "See that the gateway runs and can be reached; the switch is decided then.")
      }
    }
  }

  /// Asks with a grant that is bound to our own key.
  func askGateway(_ sync: SyncRow, _ state: SyncState, retire: Bool) async throws -> ConcludeAnswer {
    guard let gateway = state.gateway else { throw Problem.notFound("gateway of sync \(sync.id)") }
    let (key, now) = (configuration.key, now())
    let migration = try await migration(sync.tenant, sync.migration)
    let grant = try CompactJWS.sign(
      grant(sync, migration, state, key: key.thumbprint, until: now + KeyProof.window), with: key)
    let path = "/v1/sessions/\(sync.id)/conclude"
    let proof = try KeyProof.make(
      key: key, method: "POST", url: gateway.url + path, accessToken: grant, now: now, jti: UUID().uuidString)
    let client = try RESTClient(
      name: "gateway", endpoint: .web(url: gateway.url, ca: gateway.ca.isEmpty ? nil : gateway.ca),
      timeout: .seconds(60)
    ) { "DPoP " + grant }
    let answer = try await client.send(
      .POST, path + (retire ? "?retire=1" : "?retire=0"), headers: ["DPoP": proof], limit: 1 << 20)
    return try JSONDecoder().decode(ConcludeAnswer.self, from: Data(answer.readableBytesView))
  }

  /// What a gateway needs to know of a session.
  /// - Parameter key: thumbprint of who shall use it.
  func grant(
    _ sync: SyncRow, _ migration: MigrationRow, _ state: SyncState, key: String, until end: Int
  ) -> SessionGrant {
    let disks = zip(migration.disks, state.locations).map {
      SessionGrant.Disk(volume: $0.volume, location: $1, size: $0.size)
    }
    return SessionGrant(
      tenant: sync.tenant, migration: migration.id, session: sync.id, ordinal: UInt64(sync.ordinal), disks: disks,
      cnf: .init(jkt: key), exp: end, scrub: sync.scrub)
  }
}
