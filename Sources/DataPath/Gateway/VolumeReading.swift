import Blocks
import Replication
import Synchronization
import Wire

/// Reads the volumes of a replica whose leaf map was lost, and claims what is there, so that only what differs travels.
///
/// While it runs no session is open, so nothing is written. What was claimed is read again by the next seal, as every
/// claim is. A place that cannot be read stays unknown, and is sent again.
final class VolumeReading: Sendable {
  /// Leaves read at a time (4 MiB), and claimed at a time.
  private static let chunk = 64
  private static let batch = 4096

  private struct State {
    var next = (disk: 0, leaf: 0)
    var failure: String?
    var workers: Int
  }

  private let disks: [ReplicaDisk]
  private let state: Mutex<State>
  private let read = Atomic<UInt64>(0)
  private let done: @Sendable (_ failure: String?) -> Void

  /// - Parameters:
  ///   - disks: those whose maps are unread.
  ///   - workers: how many threads will call `work`, once each.
  ///   - done: called once, by the last of them.
  init(disks: [ReplicaDisk], workers: Int, done: @escaping @Sendable (_ failure: String?) -> Void) {
    (self.disks, self.done) = (disks, done)
    state = Mutex(State(workers: workers))
  }

  /// Leaves looked at so far, and in all.
  var progress: UInt64 { read.load(ordering: .relaxed) }
  var total: UInt64 { disks.reduce(0) { $0 + UInt64($1.map.count) } }

  /// Ends it at the next piece, when the gateway ends; what was claimed stays.
  func stop() { state.withLock { $0.failure = $0.failure ?? "the gateway is ending" } }

  /// One worker's work, on a thread that may block.
  func work() {
    do { try readAll() } catch { state.withLock { $0.failure = $0.failure ?? "\(error)" } }
    let isLast = state.withLock { state in
      state.workers -= 1
      return state.workers == 0
    }
    if isLast { finish() }
  }

  private func finish() {
    var failure = state.withLock { $0.failure }
    if failure == nil {
      do { for disk in disks { try disk.map.noteRead() } } catch { failure = "\(error)" }
    }
    done(failure)
  }

  private func readAll() throws {
    let buffer = AlignedBuffer(count: Self.chunk * Int(Leaf.size))
    // What was written before, by whomever, is durable before it is claimed.
    for disk in disks { try disk.volume.flush() }
    var found: [[LeafRecord]] = disks.map { _ in [] }
    while let (index, leaves) = nextChunk() {
      let states = try disks[index].map.states(leaves)
      found[index] += try content(of: leaves.filter { states[$0 - leaves.lowerBound].kind == .unknown }, index, buffer)
      if found[index].count >= Self.batch { try claim(&found[index], index) }
      read.add(UInt64(leaves.count), ordering: .relaxed)
    }
    for index in disks.indices { try claim(&found[index], index) }
  }

  private func claim(_ records: inout [LeafRecord], _ index: Int) throws {
    try disks[index].map.claim(records)
    records = []
  }

  private func nextChunk() -> (disk: Int, leaves: Range<Int>)? {
    state.withLock { state in
      guard state.failure == nil else { return nil }
      while state.next.disk < disks.count {
        let count = disks[state.next.disk].map.count
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

  /// Records of these leaves, all within one chunk.
  private func content(of leaves: [Int], _ index: Int, _ buffer: AlignedBuffer) throws -> [LeafRecord] {
    guard let first = leaves.first, let last = leaves.last else { return [] }
    let disk = disks[index]
    let bytes = UInt64(first) * Leaf.size..<min(UInt64(last + 1) * Leaf.size, disk.grant.size)
    do throws(BlockError) {
      let place = UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[..<bytes.count])
      var span = place.mutableBytes
      try disk.volume.read(into: &span, at: bytes.lowerBound)
    } catch {
      guard error.code == .unreadable else { throw error }
      return []
    }
    return leaves.map { leaf in
      let range = Leaf.range(UInt64(leaf), bytes: disk.grant.size)
      let start = Int(range.lowerBound - bytes.lowerBound)
      let (kind, digest) = ReplicaDisk.content(
        UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[start..<start + range.count]))
      return LeafRecord(disk: UInt16(index), leaf: UInt64(leaf), kind: kind, digest: digest)
    }
  }
}
