public import Blocks
internal import Synchronization

/// A volume behind a write cache that a loss of power empties: of what was not flushed an arbitrary part reaches the
/// disk, sector by sector and in no order. The same seed loses the same sectors.
public final class PowerLossVolume: BlockWriter {
  /// What a disk writes as a whole, in bytes.
  private static let sector: UInt64 = 512

  /// What may become of the last power losses' sectors.
  public struct Losses: Hashable, Sendable {
    /// Sectors that were in the cache.
    public var cached = 0
    /// Those whose last content was lost.
    public var lost = 0
  }

  private struct State {
    var random: SeededRandom
    /// Every content each sector was given since the last flush, oldest first.
    var cache: [UInt64: [[UInt8]]] = [:]
    var losses = Losses()
  }

  private let base: any BlockWriter
  private let state: Mutex<State>

  /// - Parameter base: takes whole sectors of 512 bytes at least.
  public init(_ base: any BlockWriter, seed: UInt64) {
    self.base = base
    state = Mutex(State(random: SeededRandom(seed: seed)))
  }

  public var losses: Losses { state.withLock { $0.losses } }
  public var size: UInt64 { base.size }
  public var alignment: Int { max(base.alignment, Int(Self.sector)) }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try check("read", offset, bytes.byteCount, of: "power-loss")
    try base.read(into: &bytes, at: offset)
    bytes.withUnsafeMutableBytes { target in
      state.withLock { state in
        guard !state.cache.isEmpty else { return }
        for start in stride(from: 0, to: target.count, by: Int(Self.sector)) {
          guard let content = state.cache[(offset + UInt64(start)) / Self.sector]?.last else { continue }
          UnsafeMutableRawBufferPointer(rebasing: target[start..<start + content.count]).copyBytes(from: content)
        }
      }
    }
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    try check("write", offset, bytes.byteCount, of: "power-loss")
    bytes.withUnsafeBytes { source in
      state.withLock { state in
        for start in stride(from: 0, to: source.count, by: Int(Self.sector)) {
          let content = Array(source[start..<min(start + Int(Self.sector), source.count)])
          state.cache[(offset + UInt64(start)) / Self.sector, default: []].append(content)
        }
      }
    }
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) {
    try check("zero", range, of: "power-loss")
    state.withLock { state in
      for start in stride(from: range.lowerBound, to: range.upperBound, by: Int(Self.sector)) {
        let count = Int(min(Self.sector, range.upperBound - start))
        state.cache[start / Self.sector, default: []].append(Array(repeating: 0, count: count))
      }
    }
  }

  public func flush() throws(BlockError) {
    try state.withLock { state throws(BlockError) in
      for (sector, contents) in state.cache { try put(contents[contents.count - 1], at: sector) }
      try base.flush()
      state.cache = [:]
    }
  }

  /// Power fails and comes back: each sector that was not flushed holds its old content or any it was given since.
  public func losePower() throws(BlockError) {
    try state.withLock { state throws(BlockError) in
      for (sector, contents) in state.cache.sorted(by: { $0.key < $1.key }) {
        let survivor = Int.random(in: 0...contents.count, using: &state.random)
        state.losses.cached += 1
        if survivor < contents.count { state.losses.lost += 1 }
        if survivor > 0 { try put(contents[survivor - 1], at: sector) }
      }
      state.cache = [:]
      try base.flush()
    }
  }

  private func put(_ content: [UInt8], at sector: UInt64) throws(BlockError) {
    try base.write(content.span.bytes, at: sector * Self.sector)
  }
}
