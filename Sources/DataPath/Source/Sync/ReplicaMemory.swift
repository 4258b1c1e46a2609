import Replication
import Wire

/// What an agent remembers of the replica that its pending marks belong to. Marks say what changed since a state of that
/// replica; where the gateway was put back to an earlier one they say too little, and only a compare is right.
struct ReplicaMemory: Codable, Hashable, Sendable {
  /// What the gateway may name as the last sealed chain: two, where a seal was asked for and its answer never heard.
  var sealed: Set<String>
  /// The last epoch that was opened. Epochs only grow.
  var epoch: UInt64

  /// Why the replica is not the one remembered; nil where it is.
  func contradiction(_ answer: OpenAnswer) -> String? {
    if !sealed.contains(answer.previous) {
      return "the gateway's last sealed point is not the one this agent sealed last: it was put back to another state"
    }
    if answer.epoch <= epoch { return "the gateway has forgotten openings: it was put back to an earlier state" }
    return nil
  }
}
