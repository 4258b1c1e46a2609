import Replication
import Wire

/// What an agent remembers of the replica that its pending marks belong to. Marks say what changed since a state of that
/// replica; where the gateway was put back to an earlier one they say too little, and only a compare is right.
struct ReplicaMemory: Codable, Hashable, Sendable {
  /// What the gateway may name as the last sealed chain: two, where a seal was asked for and its answer never heard; none
  /// where the marks belong to no replica that is known.
  var sealed: Set<String>
  /// The last epoch that was opened. Epochs only grow.
  var epoch: UInt64

  /// Why the replica is not the one remembered; nil where it is.
  func contradiction(_ answer: OpenAnswer) -> String? {
    if sealed.isEmpty {
      return "the gateway was put back to another state in an earlier sync, and nothing was compared since"
    }
    if !sealed.contains(answer.previous) {
      return "the gateway's last sealed point is not the one this agent sealed last: it was put back to another state"
    }
    if answer.epoch <= epoch { return "the gateway has forgotten openings: it was put back to an earlier state" }
    return nil
  }
}

/// Watches the openings of one sync: each must follow on the one before it, the first on what is remembered. A replica
/// that contradicts is never remembered as the marks' own, whatever becomes of the sync, until a walk has marked all.
struct ReplicaWatch: Sendable {
  private let before: ReplicaMemory?
  private var last: ReplicaMemory?
  /// Why the replica is not the one that the marks belong to.
  private(set) var contradiction: String?

  init(before: ReplicaMemory?) { self.before = before }

  /// Notes an opening. False where the replica was put back after an earlier opening of this sync: then what was settled
  /// in between may be lost.
  mutating func opened(_ answer: OpenAnswer) -> Bool {
    let isFirst = last == nil
    // A session that is sealed is not opened again: its answer names an old epoch.
    let found = answer.receipt == nil ? (last ?? before)?.contradiction(answer) : nil
    last = ReplicaMemory(sealed: [answer.previous], epoch: answer.epoch)
    guard let found else { return true }
    contradiction = found
    return isFirst
  }

  /// The gateway lacks parts of the manifest that it had acknowledged.
  mutating func diverged() {
    contradiction = "the gateway lost what it had stored: it was put back to an earlier state"
  }

  /// From now on the marks name everything that is not settled, whatever the replica was before.
  mutating func established() { contradiction = nil }

  /// What the next sync of these marks may expect of the gateway; nil where it was never reached.
  /// - Parameters:
  ///   - receipt: where the session is sealed.
  ///   - asked: the chain for which a seal was asked and may have been given.
  func memory(receipt: SealReceipt?, asked: String?) -> ReplicaMemory? {
    guard let last else { return nil }
    // Epochs may have caught up by then, so that comparing would find nothing: nothing is accepted.
    if contradiction != nil { return ReplicaMemory(sealed: [], epoch: last.epoch) }
    return ReplicaMemory(
      sealed: receipt.map { [$0.chain] } ?? last.sealed.union(asked.map { [$0] } ?? []), epoch: last.epoch)
  }
}
