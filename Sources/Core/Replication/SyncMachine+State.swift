extension SyncMachine {
  /// The stages of a sync. Frozen from the answer to `freeze` until the answer to `thaw`.
  enum Stage: Hashable, Sendable {
    /// Until the session is open and the disks' use is known.
    case starting
    /// The walk, then rounds of takes.
    case copying
    /// `freeze` is asked.
    case freezing
    /// Frozen; the instant's take is asked.
    case holding
    /// Frozen; the capture is asked.
    case capturing
    /// `thaw` is asked; `captured` where the instant is in memory.
    case thawing(captured: Bool)
    /// Thawed; the instant is sent from memory.
    case sending
    /// Frozen for good: the last changes are sent from the disk.
    case streaming
    /// `seal` is asked.
    case sealing
    case ended
  }

  enum Link: Hashable, Sendable {
    case closed
    case opening(fresh: Bool)
    case open(Epoch)
  }

  enum Tracking: Hashable, Sendable {
    case idle
    case preparing(restart: Bool)
    case ready
    case taking
  }

  /// A frame on its way.
  struct Carried: Hashable, Sendable {
    var frame: Frame
    /// Nil until it is acknowledged.
    var records: [LeafRecord]?
  }

  /// A flush on its way.
  struct Flushing: Hashable, Sendable {
    var part: UInt64
    var frames: [Carried]
    var loose: [LeafRecord]
  }

  /// What is known of a disk, in bits.
  struct DiskMap: Hashable, Sendable {
    let size: UInt64
    let block: UInt64
    let leaf: UInt64
    /// Blocks to be sent.
    var dirty: Bitmap
    /// Leaves in use: those the filesystems said, and those that changed since.
    var used: Bitmap
    /// Leaves whose whole content the gateway knows.
    var held: Bitmap
    /// Leaves with a stored record in this session's manifest.
    var recorded: Bitmap
    /// Leaves in an unsettled frame.
    var busy: Bitmap
    /// Leaves of the walk that were not sent yet.
    var comparable: Bitmap
    /// Where the next frame is cut, in blocks.
    var cursor = 0

    init(size: UInt64, block: UInt64, leaf: UInt64) {
      (self.size, self.block, self.leaf) = (size, block, leaf)
      let leaves = Bitmap(count: Int((size + leaf - 1) / leaf))
      dirty = Bitmap(count: Int((size + block - 1) / block))
      (used, held, recorded, busy, comparable) = (leaves, leaves, leaves, leaves, leaves)
    }

    var leafCount: Int { used.count }

    /// The blocks that a byte range touches.
    func blocks(of range: Range<UInt64>) -> Range<Int> { positions(of: range, unit: block) }

    /// The leaves that a byte range touches.
    func leaves(of range: Range<UInt64>) -> Range<Int> { positions(of: range, unit: leaf) }

    func blocks(ofLeaf index: Int) -> Range<Int> { blocks(of: bytes(ofLeaf: index)) }

    func bytes(ofLeaf index: Int) -> Range<UInt64> {
      UInt64(index) * leaf..<min(UInt64(index + 1) * leaf, size)
    }

    func bytes(ofBlocks blocks: Range<Int>) -> Range<UInt64> {
      UInt64(blocks.lowerBound) * block..<min(UInt64(blocks.upperBound) * block, size)
    }

    private func positions(of range: Range<UInt64>, unit: UInt64) -> Range<Int> {
      let range = range.clamped(to: 0..<size)
      return range.isEmpty ? 0..<0 : Int(range.lowerBound / unit)..<Int((range.upperBound - 1) / unit) + 1
    }

    /// These bytes are to be sent.
    mutating func soil(_ range: Range<UInt64>) {
      dirty.insert(blocks(of: range))
      used.insert(leaves(of: range))
    }

    /// A leaf that was not in use while nothing was tracked counts as not held, until its record says so.
    mutating func distrustUnused() {
      for leaf in 0..<leafCount where !used[leaf] && !recorded[leaf] { held[leaf] = false }
    }

    /// The parts of a leaf that are to be sent; all of it where the gateway does not know it or it is compared.
    func extents(ofLeaf index: Int, whole: Bool) -> [Range<UInt64>] {
      if whole { return [bytes(ofLeaf: index)] }
      let blocks = blocks(ofLeaf: index)
      var extents: [Range<UInt64>] = []
      var next = blocks.lowerBound
      while let run = dirty.run(from: next)?.clamped(to: blocks), !run.isEmpty {
        extents.append(bytes(ofBlocks: run))
        next = run.upperBound
      }
      return extents
    }
  }

  /// Where the link stands open.
  var epoch: Epoch? { if case .open(let epoch) = link { epoch } else { nil } }

  var hasDirty: Bool { maps.contains { !$0.dirty.isEmpty } }

  var dirtyBytes: UInt64 { maps.reduce(0) { $0 + UInt64($1.dirty.population) * $1.block } }

  /// Everything sent is settled and nothing waits to be sent.
  var isSettled: Bool {
    unsettled.isEmpty && flushing == nil && loose.isEmpty && memory.isEmpty && !hasDirty
  }

  mutating func soil(_ extents: [Extent]) {
    for extent in extents { maps[Int(extent.disk)].soil(extent.range) }
  }
}
