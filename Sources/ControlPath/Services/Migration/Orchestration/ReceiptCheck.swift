import Wire
import Workflows

/// Whether a receipt is what the gateway must say of this very sync. Pure.
struct ReceiptCheck: Sendable {
  var sync: SyncRow
  var migration: MigrationRow
  /// 32 bytes, as the clouds service vouches for.
  var gatewayKey: [UInt8]
  /// 32 bytes, from the enrolment.
  var agentKey: [UInt8]

  /// Nil where the receipt is good.
  /// - Parameter statement: what the agent signed of the sync; an older agent gives none.
  func problem(_ receipt: SealReceipt?, statement: String? = nil) -> WorkflowProblem? {
    guard let receipt else { return refused("it sent none") }
    guard receipt.isSigned(by: gatewayKey) else { return refused("it is not signed by the gateway of this target") }
    guard receipt.session == sync.id, receipt.migration == migration.id else {
      return refused("it is for session \(receipt.session) of migration \(receipt.migration)")
    }
    guard receipt.disks.map(\.volume) == migration.disks.map(\.volume) else {
      return refused("it names other volumes than those of the migration")
    }
    guard ManifestChain(resuming: receipt.chain, parts: 0)?.isSigned(receipt.agentSignature, by: agentKey) == true
    else { return refused("the manifest's chain is not signed by the source's agent") }
    if let statement {
      let claims = try? CompactJWS.verify(
        statement, publicKey: agentKey, as: AgentStatement.self, typ: AgentStatement.type)
      guard let claims, claims.session == sync.id, claims.chain == receipt.chain else {
        return refused("the agent's statement is not signed by it, or is of another sync")
      }
    }
    return nil
  }

  private func refused(_ why: String) -> WorkflowProblem {
    WorkflowProblem(
      code: "receipt_refused", detail: "The gateway's receipt for sync \(sync.id) does not hold: \(why).",
      remedy: "Check that agent and gateway are ours; the last point stays good. Start a sync in mode compare.")
  }
}
