import Blocks
import Crypto
import NIOPosix
import Replication
import Synchronization
import Wire

/// The read-back of a seal: every leaf that is not sealed is read from the volumes in large pieces by several threads,
/// and compared with the manifest's last record.
final class ReadBack: Sendable {
  struct Outcome: Sendable {
    /// For each disk runs of leaves and what they are sealed as, ascending; none where they were sealed before.
    var agreed: [[(leaves: Range<Int>, kind: LeafKind)]]
    /// At most `maximumMismatches`, in order.
    var mismatches: [LeafAddress]
    /// Leaves read.
    var leaves: UInt64
  }

  static let maximumMismatches = 4096
  /// Leaves read at a time: 4 MiB.
  private static let chunk = 64

  private struct State {
    var next = (disk: 0, leaf: 0)
    var outcome: Outcome
    var failure: String?
    var workers: Int
  }

  private let disks: [ReplicaDisk]
  private let last: LeafPicture
  private let state: Mutex<State>
  private let read = Atomic<UInt64>(0)
  private let done: @Sendable (Result<Outcome, ReadBackFailure>) -> Void

  struct ReadBackFailure: Error { var reason: String }

  /// - Parameter done: called once, by one of the threads of the pool.
  init(
    disks: [ReplicaDisk], last: LeafPicture, workers: Int,
    done: @escaping @Sendable (Result<Outcome, ReadBackFailure>) -> Void
  ) {
    (self.disks, self.last, self.done) = (disks, last, done)
    state = Mutex(State(outcome: Outcome(agreed: disks.map { _ in [] }, mismatches: [], leaves: 0), workers: workers))
  }

  /// Leaves looked at so far.
  var progress: UInt64 { read.load(ordering: .relaxed) }
  /// Leaves to look at.
  var total: UInt64 { disks.reduce(0) { $0 + UInt64($1.map.count) } }

  /// One worker's work; to be called as often as there are workers, on threads that may block.
  func work() {
    let buffer = AlignedBuffer(count: Self.chunk * Int(Leaf.size))
    do {
      while let (disk, leaves) = nextChunk() { try judge(disk, leaves, buffer) }
    } catch { state.withLock { $0.failure = $0.failure ?? "\(error)" } }
    finish()
  }

  private func nextChunk() -> (disk: Int, leaves: Range<Int>)? {
    state.withLock { state in
      guard state.failure == nil else { return nil }
      while state.next.disk < disks.count {
        let count = disks[state.next.disk].map.count
        skipSettled(&state)
        if state.next.leaf < count {
          let end = min(state.next.leaf + Self.chunk, count)
          defer { state.next.leaf = end }
          return (state.next.disk, state.next.leaf..<end)
        }
        state.next = (state.next.disk + 1, 0)
      }
      return nil
    }
  }

  /// Passes by chunks of which nothing was said and nothing is to be read: sealed before, or free.
  private func skipSettled(_ state: inout State) {
    let (disk, map) = (state.next.disk, disks[state.next.disk].map)
    while state.next.leaf < map.count, state.next.leaf.isMultiple(of: LeafRoot.chunk) {
      let chunk = state.next.leaf / LeafRoot.chunk
      guard last.saysNothing(disk: disk, chunk: chunk, but: .free) else { return }
      let leaves = LeafRoot.leaves(ofChunk: chunk, count: map.count)
      let (sealed, free) = map.isSettled(leaves)
      guard free || (sealed && last.saysNothing(disk: disk, chunk: chunk)) else { return }
      if !sealed { state.outcome.agreed[disk].append((leaves, .free)) }
      read.add(UInt64(leaves.count), ordering: .relaxed)
      state.next.leaf = leaves.upperBound
    }
  }

  private func judge(_ index: Int, _ leaves: Range<Int>, _ buffer: AlignedBuffer) throws {
    let disk = disks[index]
    let states = try disk.map.states(leaves)
    let records = leaves.map { last.record(disk: index, leaf: $0) }
    let wanted = zip(states, records).map { $0.needsReadBack(record: $1) }
    try readRuns(of: wanted, from: leaves.lowerBound, disk, buffer)
    var agreed: [(leaves: Range<Int>, kind: LeafKind)] = []
    var mismatches: [LeafAddress] = []
    for (place, leaf) in leaves.enumerated() {
      let readBack = wanted[place] ? content(at: place, of: leaf, disk, buffer) : nil
      switch states[place].verdict(record: records[place], readBack: readBack) {
      case .mismatch: mismatches.append(LeafAddress(disk: UInt16(index), leaf: UInt64(leaf)))
      case .agrees(let kind, let digest):
        if states[place].sealed { continue }
        if let end = agreed.last, end.kind == kind, end.leaves.upperBound == leaf {
          agreed[agreed.count - 1].leaves = end.leaves.lowerBound..<leaf + 1
        } else {
          agreed.append((leaf..<leaf + 1, kind))
        }
        // Where it was unknown no kind makes this digest valid before the seal does.
        if kind == .data, digest != states[place].digest { try disk.map.writeDigest(digest, of: leaf) }
      }
    }
    let count = wanted.count { $0 }
    state.withLock { state in
      state.outcome.agreed[index] += agreed
      state.outcome.mismatches += mismatches
      state.outcome.leaves += UInt64(count)
    }
    read.add(UInt64(leaves.count), ordering: .relaxed)
  }

  /// Kind and digest of the leaf that stands at `place` in `buffer`.
  private func content(
    at place: Int, of leaf: Int, _ disk: ReplicaDisk, _ buffer: AlignedBuffer
  ) -> (kind: LeafKind, digest: LeafDigest) {
    let start = place * Int(Leaf.size)
    let length = Leaf.range(UInt64(leaf), bytes: disk.grant.size).count
    return ReplicaDisk.content(UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[start..<start + length]))
  }

  /// Reads the wanted leaves to their places in `buffer`, neighbours at once.
  private func readRuns(of wanted: [Bool], from first: Int, _ disk: ReplicaDisk, _ buffer: AlignedBuffer) throws {
    var place = 0
    while place < wanted.count {
      guard wanted[place] else {
        place += 1
        continue
      }
      let end = wanted[place...].firstIndex(of: false) ?? wanted.count
      let start = UInt64(first + place) * Leaf.size
      let stop = min(UInt64(first + end) * Leaf.size, disk.grant.size)
      let at = place * Int(Leaf.size)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[at..<at + Int(stop - start)])
      var span = bytes.mutableBytes
      try disk.volume.read(into: &span, at: start)
      place = end
    }
  }

  private func finish() {
    let result: Result<Outcome, ReadBackFailure>? = state.withLock { state in
      state.workers -= 1
      guard state.workers == 0 else { return nil }
      if let failure = state.failure { return .failure(ReadBackFailure(reason: failure)) }
      for disk in state.outcome.agreed.indices {
        state.outcome.agreed[disk].sort { $0.leaves.lowerBound < $1.leaves.lowerBound }
      }
      state.outcome.mismatches.sort { ($0.disk, $0.leaf) < ($1.disk, $1.leaf) }
      state.outcome.mismatches = Array(state.outcome.mismatches.prefix(Self.maximumMismatches))
      return .success(state.outcome)
    }
    if let result { done(result) }
  }
}
