import Blocks
import Replication
import Source
import Synchronization
import Volumes

/// A raw file as a source: tracked by whoever writes through it, and still for an instant by refusing to be written.
final class TrackedFile: SyncSource {
  private struct State {
    var dirty: Set<UInt64> = []
    var pending: Set<UInt64> = []
    var isEstablished = false
    var isCommitted = false
    var isOff = false
    var freezes = 0
  }

  static let block: UInt64 = 4096

  let disks: [SyncDisk]
  private let file: RawFile
  private let state: Mutex<State>
  /// Held by writers while they write, and by the instant.
  private let still = Mutex(false)
  /// Called each time a sync has taken what was dirty, with how often that was: a test writes then.
  let onTake: @Sendable (TrackedFile, Int) -> Void
  private let takeCount = Mutex(0)
  /// Called at the beginning of every take, those of an instant included, with its number.
  let atTake = Mutex<(@Sendable (Int) -> Void)?>(nil)
  /// Called before the final seal is requested.
  let onCommit: @Sendable () -> Void
  /// The next time the disks are to be described they cannot be.
  let isUndescribable = Mutex(false)

  init(
    path: String, name: String = "file", reader: (any BlockReader)? = nil,
    onTake: @escaping @Sendable (TrackedFile, Int) -> Void = { _, _ in },
    onCommit: @escaping @Sendable () -> Void = {}
  ) throws {
    self.onCommit = onCommit
    file = try RawFile(path: path)
    disks = [SyncDisk(name: name, reader: reader ?? file, block: Self.block)]
    state = Mutex(State())
    self.onTake = onTake
  }

  /// Takes so far, those of an instant included.
  var takes: Int { takeCount.withLock { $0 } }
  var freezes: Int { state.withLock { $0.freezes } }
  var isCommitted: Bool { state.withLock { $0.isCommitted } }
  var isStill: Bool { still.withLock { $0 } }
  var isOff: Bool { state.withLock { $0.isOff } }
  var isEstablished: Bool { state.withLock { $0.isEstablished } }

  /// Writes like an application: not while the file stands still.
  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    while true {
      let done = try still.withLock { still in
        if still { return false }
        try file.write(bytes.span.bytes, at: offset)
        state.withLock { $0.dirty.formUnion(Self.blocks(offset..<offset + UInt64(bytes.count))) }
        return true
      }
      if done { return }
    }
  }

  private static func blocks(_ range: Range<UInt64>) -> Range<UInt64> {
    range.lowerBound / block..<(range.upperBound + block - 1) / block
  }

  private func extents(_ blocks: Set<UInt64>) -> [Extent] {
    blocks.sorted().map { Extent(disk: 0, range: $0 * Self.block..<min(($0 + 1) * Self.block, file.size)) }
  }

  func prepare(restart: Bool) throws -> SyncMachine.Prepared {
    let fails = isUndescribable.withLock { fails in
      defer { fails = false }
      return fails
    }
    if fails { throw SyncFailure(code: "disk_missing", message: "a disk is missing") }
    return state.withLock { state in
      if restart { state = State() }
      let voided = restart || state.isEstablished ? nil : "tracking has only just begun"
      return .init(
        voided: voided, pending: voided == nil ? extents(state.pending) : [], used: [[0..<file.size]])
    }
  }

  func mark(_ extents: [Extent], establishes: Bool) {
    state.withLock { state in
      for extent in extents { state.pending.formUnion(Self.blocks(extent.range)) }
      if establishes { state.isEstablished = true }
    }
  }

  func settle(_ extents: [Extent]) {
    state.withLock { state in
      for extent in extents {
        for block in Self.blocks(extent.range) { state.pending.remove(block) }
      }
    }
  }

  func take(syncFirst: Bool) -> SyncTake {
    let taken = state.withLock { state in
      let taken = state.dirty
      state.pending.formUnion(taken)
      state.dirty = []
      return taken
    }
    let isStill = still.withLock { $0 }
    let number = takeCount.withLock { takes in
      takes += 1
      return takes
    }
    atTake.withLock { $0 }?(number)
    if !isStill { onTake(self, number) }
    return .taken(extents(taken))
  }

  func freeze(hold: Bool) throws -> ContinuousClock.Instant {
    still.withLock { $0 = true }
    state.withLock { $0.freezes += 1 }
    return .now
  }

  func thaw() -> Bool {
    still.withLock { still in
      defer { still = false }
      return still
    }
  }

  func commit() -> Bool {
    state.withLock { $0.isCommitted = true }
    onCommit()
    return still.withLock { $0 }
  }

  var consistency: [String: String] { ["file": "filesystem"] }

  func powerOff() { state.withLock { $0.isOff = true } }
}
