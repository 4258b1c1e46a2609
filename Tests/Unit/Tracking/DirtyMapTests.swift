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
}
