import Replication
import Synchronization
import Transport

/// What the gateway claims of leaves, fetched many at a time since a walk asks for neighbours.
///
/// A claim is only believed for a leaf that this epoch has not sent anything for: what the gateway said before that is
/// old, and what it says after is not settled.
final class ClaimCache: Sendable {
  private struct State {
    var epoch = Epoch(rawValue: 0)
    var sent: [Bitmap]
    /// Claims by disk and number of the stretch, and the order in which they came.
    var stretches: [Key: [LeafRecord]] = [:]
    var order: [Key] = []
  }

  private struct Key: Hashable {
    var disk: UInt16
    var number: UInt64
  }

  /// Leaves fetched at once: 128 MiB of disk, 66 KiB on the wire.
  private static let stretch: UInt64 = 2048
  private static let kept = 4

  private let sizes: [UInt64]
  private let state: Mutex<State>

  /// - Parameter sizes: of the disks, in bytes.
  init(sizes: [UInt64]) {
    self.sizes = sizes
    state = Mutex(State(sent: Self.none(sizes)))
  }

  private static func none(_ sizes: [UInt64]) -> [Bitmap] {
    sizes.map { Bitmap(count: Int(Leaf.count(bytes: $0))) }
  }

  /// Forgets everything: a new epoch has begun.
  func begin(_ epoch: Epoch) {
    state.withLock { $0 = State(epoch: epoch, sent: Self.none(sizes)) }
  }

  /// Notes that a frame with these leaves is about to be sent.
  func willSend(_ leaves: [UInt64], disk: UInt16) {
    state.withLock { state in
      for leaf in leaves { state.sent[Int(disk)][Int(leaf)] = true }
    }
  }

  /// Which of `records` the gateway claims the same, of those in `comparable`.
  func equal(
    _ records: [LeafRecord], comparable: [UInt64], disk: UInt16, epoch: Epoch, gateway: GatewayClient
  ) async throws -> Set<UInt64> {
    var equal: Set<UInt64> = []
    let wanted = Set(comparable)
    for record in records where wanted.contains(record.leaf) {
      let claims = try await claims(Key(disk: disk, number: record.leaf / Self.stretch), epoch: epoch, gateway: gateway)
      let claim = claims[Int(record.leaf % Self.stretch)]
      if claim.kind == record.kind, claim.digest == record.digest, !isSent(record.leaf, disk: disk, epoch: epoch) {
        equal.insert(record.leaf)
      }
    }
    return equal
  }

  private func isSent(_ leaf: UInt64, disk: UInt16, epoch: Epoch) -> Bool {
    state.withLock { $0.epoch != epoch || $0.sent[Int(disk)][Int(leaf)] }
  }

  private func claims(_ key: Key, epoch: Epoch, gateway: GatewayClient) async throws -> [LeafRecord] {
    if let known = state.withLock({ $0.epoch == epoch ? $0.stretches[key] : nil }) { return known }
    let first = key.number * Self.stretch
    let leaves = first..<min(first + Self.stretch, Leaf.count(bytes: sizes[Int(key.disk)]))
    let records = try await gateway.leaves(disk: key.disk, leaves)
    state.withLock { state in
      guard state.epoch == epoch, state.stretches.updateValue(records, forKey: key) == nil else { return }
      state.order.append(key)
      if state.order.count > Self.kept { state.stretches[state.order.removeFirst()] = nil }
    }
    return records
  }
}
