import Replication
import Synchronization
import Wire

extension SyncDriver {
  /// What the next sync of these marks may expect of the gateway, and the chain over what this one has settled; nil where
  /// the gateway was never reached, or its replica is not that of the marks.
  var remembered: (replica: ReplicaMemory, chain: ManifestChain?)? {
    state.withLock { state in
      guard let opened = state.opened, state.contradiction == nil || state.hasRestarted else { return nil }
      let asked = state.hasAskedForSeal ? state.chain.map { [$0.hex] } ?? [] : []
      let sealed = state.receipt.map { [$0.chain] } ?? Set([opened.previous] + asked)
      return (ReplicaMemory(sealed: sealed, epoch: opened.epoch), state.chain)
    }
  }

  /// Nil where there is nothing to tell.
  static func findings(of state: State) -> ScrubFindings? {
    let findings = ScrubFindings(
      compared: UInt64(state.progress.scrubbed), differing: state.differing, missed: UInt64(state.progress.missed))
    return findings == ScrubFindings() ? nil : findings
  }
}
