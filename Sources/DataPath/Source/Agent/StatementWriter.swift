import Blocks
import FoundationEssentials
import Wire

/// Signs what an agent says of its sealed syncs.
struct StatementWriter: Sendable {
  let key: AgentKey
  let memories: SyncMemories

  static func now() -> Int { Int(Date().timeIntervalSince1970) }

  /// The statement on a sealed sync; nil where the receipt is not over what this agent signed.
  func statement(
    _ command: SyncCommand, _ receipt: SealReceipt, _ progress: SyncProgress, source: any SyncSource, startedAt: Int
  ) -> String? {
    guard receipt.session == command.session,
      ManifestChain(resuming: receipt.chain, parts: 0)?.isSigned(receipt.agentSignature, by: key.publicKey) == true
    else { return nil }
    let statement = AgentStatement(
      agentVersion: Enrolment.version, migration: command.migration, session: command.session, chain: receipt.chain,
      asked: command.mode, mode: progress.mode, voided: progress.voided, final: command.final,
      disks: source.disks.map { .init(name: $0.name, size: $0.reader.size) }, consistency: receipt.consistency,
      tracking: source.tracking, carried: memories[command.migration]?.carried ?? [], startedAt: startedAt,
      signedAt: Self.now(), freezeMilliseconds: progress.freezeMilliseconds, usedBytes: progress.usedBytes,
      sentBytes: progress.sentBytes)
    return try? CompactJWS.sign(statement, header: .init(typ: AgentStatement.type), with: key)
  }
}
