public import Blocks
internal import Synchronization

/// A volume that fails on purpose: in fixed places, at random from a seed, or by vanishing. Counts what it did, so that
/// a test can insist on its faults having been hit.
public final class FaultyBlocks: BlockWriter {
  /// What goes wrong.
  public struct Plan: Sendable {
    public var seed: UInt64 = 0
    /// Byte ranges that can never be read.
    public var unreadable: [Range<UInt64>] = []
    /// Byte ranges that can never be written.
    public var unwritable: [Range<UInt64>] = []
    /// Chances, 0 to 1, that a call fails.
    public var readFailures = 0.0
    public var writeFailures = 0.0
    public var flushFailures = 0.0
    /// After so many calls the device is gone.
    public var vanishesAfter: Int?
    public init() {}
  }

  /// Faults that happened.
  public struct Hits: Hashable, Sendable {
    public var reads = 0
    public var writes = 0
    public var flushes = 0
    public var vanished = 0
  }

  private struct State {
    var random: SeededRandom
    var calls = 0
    var hits = Hits()
  }

  private let base: any BlockWriter
  private let plan: Plan
  private let state: Mutex<State>

  public init(_ base: any BlockWriter, plan: Plan) {
    (self.base, self.plan) = (base, plan)
    state = Mutex(State(random: SeededRandom(seed: plan.seed)))
  }

  public var hits: Hits { state.withLock { $0.hits } }
  public var size: UInt64 { base.size }
  public var alignment: Int { base.alignment }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    let range = offset..<offset &+ UInt64(bytes.byteCount)
    try begin("read", offset)
    if let bad = firstHit(plan.unreadable, range) {
      state.withLock { $0.hits.reads += 1 }
      throw fault(.unreadable, "read", bad)
    }
    if draw(plan.readFailures, \.reads) { throw fault(.unreadable, "read", offset) }
    try base.read(into: &bytes, at: offset)
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    let range = offset..<offset &+ UInt64(bytes.byteCount)
    try begin("write", offset)
    let bad = firstHit(plan.unwritable, range)
    if bad != nil || draw(plan.writeFailures, \.writes) {
      if bad != nil { state.withLock { $0.hits.writes += 1 } }
      // Some of it may have arrived: a whole number of sectors from the start.
      let step = max(alignment, 512)
      let arrived = state.withLock { Int.random(in: 0...bytes.byteCount / step, using: &$0.random) * step }
      let end = min(arrived, bad.map { Int($0 - offset) / step * step } ?? arrived)
      if end > 0 { try base.write(bytes.extracting(0..<end), at: offset) }
      throw fault(.unwritable, "write", bad ?? offset + UInt64(end))
    }
    try base.write(bytes, at: offset)
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) {
    try begin("zero", range.lowerBound)
    if let bad = firstHit(plan.unwritable, range) {
      state.withLock { $0.hits.writes += 1 }
      throw fault(.unwritable, "zero", bad)
    }
    if draw(plan.writeFailures, \.writes) { throw fault(.unwritable, "zero", range.lowerBound) }
    try base.zero(range)
  }

  public func flush() throws(BlockError) {
    try begin("flush", nil)
    if draw(plan.flushFailures, \.flushes) { throw fault(.notDurable, "flush", nil) }
    try base.flush()
  }

  private func begin(_ call: String, _ offset: UInt64?) throws(BlockError) {
    let isGone = state.withLock { state in
      state.calls += 1
      guard let last = plan.vanishesAfter, state.calls > last else { return false }
      state.hits.vanished += 1
      return true
    }
    if isGone { throw fault(.vanished, call, offset) }
  }

  private func draw(_ chance: Double, _ counter: any WritableKeyPath<Hits, Int> & Sendable) -> Bool {
    guard chance > 0 else { return false }
    return state.withLock { state in
      guard state.random.happens(chance) else { return false }
      state.hits[keyPath: counter] += 1
      return true
    }
  }

  /// The first byte of `range` that lies in one of `places`.
  private func firstHit(_ places: [Range<UInt64>], _ range: Range<UInt64>) -> UInt64? {
    places.filter { $0.overlaps(range) }.map { max($0.lowerBound, range.lowerBound) }.min()
  }

  private func fault(_ code: BlockError.Code, _ call: String, _ offset: UInt64?) -> BlockError {
    BlockError(code, call: call, device: "faulty", offset: offset, reason: "a fault was injected here")
  }
}
