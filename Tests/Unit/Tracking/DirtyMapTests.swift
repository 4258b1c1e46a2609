import Testing

@testable import Source

@Suite("The map of dirty blocks")
struct DirtyMapTests {
  private static let sizes: [(size: UInt64, block: UInt64)] = [
    (1 << 30, 4096), (64 << 30, 4096), (64 << 30 + 4096, 8192), (1 << 40, 65536), (5 << 40, 524_288)
  ]

  @Test("Blocks are as fine as 16 MiB allow", arguments: sizes)
  func blockSize(size: UInt64, block: UInt64) {
    let layout = DirtyMapLayout(size: size)
    #expect(layout.blockSize == block)
    #expect(layout.blocks * block >= size)
    #expect(layout.blocks <= 16 << 20)
  }

  @Test("Many disks share what their maps may take")
  func manyDisks() {
    #expect(DirtyMapLayout(size: 1 << 40, disks: 2).blockSize == 65536)
    let eight = DirtyMapLayout(size: 1 << 40, disks: 8)
    #expect(eight.blocks * 8 <= DirtyMapLayout.sum)
    #expect(eight.blockSize == 256 << 10)
    #expect(DirtyMapLayout(size: 20 << 30, disks: 100).blocks <= 1 << 20)
  }

  @Test("The units of every level cover all blocks, each once", arguments: [UInt64(1), 63, 64, 65, 4096, 300_000])
  func levels(blocks: UInt64) {
    let layout = DirtyMapLayout(size: blocks * 4096)
    for level in 0..<DirtyMapLayout.levels {
      let end = level + 1 < DirtyMapLayout.levels ? layout.bases[level + 1] : layout.units
      var next: UInt64 = 0
      for unit in layout.bases[level]..<end {
        #expect(layout.blocks(of: unit).lowerBound == next)
        next = layout.blocks(of: unit).upperBound
      }
      #expect(next == blocks)
    }
    // One request over the whole disk fits the stores of the coarsest level.
    #expect(layout.units - layout.bases[DirtyMapLayout.levels - 1] <= UInt64(DirtyMapLayout.stores))
  }

  @Test("Ranges join neighbours, obey the limit and end with the disk")
  func ranges() {
    var dirty = DirtyDisk(size: 1000 * 4096 + 512, blockSize: 4096)
    #expect(dirty.isEmpty && dirty.ranges() == [])
    dirty.insert(blocks: 0..<3)
    dirty.insert(block: 2)
    dirty.insert(blocks: 60..<70)
    dirty.insert(block: 1000)
    #expect(dirty.count == 14)
    #expect(dirty.bytes == 13 * 4096 + 512)
    #expect(dirty.ranges() == [0..<12288, 245_760..<286_720, 4_096_000..<4_096_512])
    #expect(dirty.ranges(limit: 8192).count == 2 + 5 + 1)
    #expect(dirty.ranges(limit: 8192).allSatisfy { $0.count <= 8192 })
  }

  @Test("Ranges can be had a few at a time, each once")
  func portions() {
    var dirty = DirtyDisk(size: 1000 * 4096, blockSize: 4096)
    for block in stride(from: UInt64(0), to: 100, by: 2) { dirty.insert(block: block) }
    let all = dirty.ranges()
    var portions: [Range<UInt64>] = []
    while !dirty.isEmpty {
      let portion = dirty.removeRanges(count: 7)
      #expect(portion.count <= 7)
      portions += portion
    }
    #expect(portions == all && all.count == 50)
  }

  @Test("Gaps are what is not changed")
  func gaps() {
    var dirty = DirtyDisk(size: 100 * 4096, blockSize: 4096)
    #expect(dirty.gaps(in: 10..<20) == [10..<20])
    dirty.insert(blocks: 2..<4)
    dirty.insert(block: 99)
    #expect(dirty.gaps(in: 0..<100 * 4096) == [0..<8192, 16384..<99 * 4096])
    #expect(dirty.gaps(in: 9000..<17000) == [16384..<17000])
    #expect(dirty.gaps(in: 9000..<16384) == [])
  }

  @Test("Blocks of one unit join those of another")
  func units() {
    var leaves = DirtyDisk(size: 1 << 30, blockSize: 65536)
    leaves.insert(block: 3)
    var blocks = DirtyDisk(size: 1 << 30, blockSize: 262_144)
    blocks.insert(block: 2)
    blocks.formUnion(leaves)
    #expect(blocks.ranges() == [0..<262_144, 524_288..<786_432])
  }

  @Test("What is pending settles leaf by leaf where blocks are larger", arguments: [UInt64(4096), 65536, 524_288])
  func pending(block: UInt64) throws {
    let size = UInt64(64 << 20) + 512
    let pending = PendingMarks(
      size: size, block: block, words: try MappedWords(bytes: PendingMarks.byteCount(size: size, block: block)))
    let unit = min(block, 65536)
    #expect(pending.unit == unit)
    pending.insert(0..<1 << 20)
    // All leaves of the first half MiB, each by itself.
    for leaf in UInt64(0)..<8 { pending.remove(leaf * 65536..<(leaf + 1) * 65536) }
    #expect(pending.marked().ranges() == [512 << 10..<1 << 20])
    // A part of a unit settles nothing.
    pending.remove(512 << 10..<512 << 10 + unit - 512)
    #expect(pending.marked().bytes == 512 << 10)
    // The last unit is short.
    pending.insert(size - 1..<size)
    #expect(pending.marked().bytes == 512 << 10 + 512)
    pending.remove(64 << 20..<size)
    pending.remove(0..<64 << 20)
    #expect(pending.marked().isEmpty)
    pending.insert(0..<size)
    #expect(pending.marked().ranges(limit: .max / 2) == [0..<size])
  }

  @Test("A rung that lost events twice comes after those that did better; each tracker counts once")
  func ladder() {
    var ladder = TrackingLadder()
    #expect(ladder.rungs == [.typed, .perf, .blktrace])
    let loss = VoidReason.countersDiffer(disk: "sda", seen: 1, written: 2)
    for run in 0..<4 {
      for _ in 0..<3 { ladder.note(loss, of: StubTracker(identity: "\(run / 2 + 10 * (run % 2))", rung: "tp_btf")) }
    }
    #expect(ladder.rungs == [.perf, .blktrace, .typed])
    ladder.note(.sizeChanged(disk: "sda", from: 1, to: 2), of: StubTracker(identity: "x", rung: "tracepoint"))
    ladder.note(loss, of: StubTracker(identity: "y", rung: "tracepoint"))
    #expect(ladder.rungs == [.perf, .blktrace, .typed])
    // Where every rung lost, the least bad is still used.
    for run in 0..<5 { ladder.note(loss, of: StubTracker(identity: "p\(run)", rung: "tracepoint+blktrace")) }
    #expect(ladder.rungs.first == .typed && ladder.rungs.count == 3)
  }
}

/// Has a name and a rung, and sees nothing.
private struct StubTracker: ChangeTracker {
  var identity: String
  var rung: String
  var disks: [TrackedDisk] { [] }
  var isEstablished: Bool { false }
  func take(atMost count: Int) -> Take { .unknown(.stopped) }
  func recall() {}
  func mark(_ range: Range<UInt64>, ofDisk disk: Int) {}
  func settle(_ range: Range<UInt64>, ofDisk disk: Int) {}
  func pending() -> [DirtyDisk] { [] }
  func establish() {}
  func counts() -> [TrackedCount] { [] }
  func verify(_ moment: CounterMoment) -> VoidReason? { nil }
  func stop() {}
}
