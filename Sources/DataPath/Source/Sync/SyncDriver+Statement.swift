import Replication
import Synchronization
import Wire

extension SyncDriver {
  /// What the next sync of these marks may expect of the gateway, and the chain over what this one has settled; nil where
  /// the gateway was never reached.
  var remembered: (replica: ReplicaMemory, chain: ManifestChain?)? {
    state.withLock { state in
      state.replica.memory(receipt: state.receipt, asked: state.hasAskedForSeal ? state.chain?.hex : nil)
        .map { ($0, state.chain) }
    }
  }

  /// Nil where there is nothing to tell.
  static func findings(of state: State) -> ScrubFindings? {
    let findings = ScrubFindings(
      compared: UInt64(state.progress.scrubbed), differing: state.differing, missed: UInt64(state.progress.missed))
    return findings == ScrubFindings() ? nil : findings
  }
}
