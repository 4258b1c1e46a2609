import Replication

/// Where things lie in a tiny world: all disks' cells (bytes to the machines) and leaves in a row.
struct Grid {
  let sizes = [11, 6]
  let leaf = 4
  /// The tracker's blocks, in cells.
  let blocks = [1, 2]
  let cellCount = 17
  let leafCount = 5
  /// The second disk's.
  let looseCells = 11..<17
  private let firstCell = [0, 11]
  private let firstLeaf = [0, 3]

  func cells(of extent: Extent) -> Range<Int> {
    let first = firstCell[Int(extent.disk)]
    return first + Int(extent.range.lowerBound)..<first + Int(extent.range.upperBound)
  }

  func index(of address: LeafAddress) -> Int { firstLeaf[Int(address.disk)] + Int(address.leaf) }

  func address(ofLeaf index: Int) -> LeafAddress {
    index < 3 ? LeafAddress(disk: 0, leaf: UInt64(index)) : LeafAddress(disk: 1, leaf: UInt64(index - 3))
  }

  func cells(ofLeaf index: Int) -> Range<Int> {
    switch index {
    case 0: 0..<4
    case 1: 4..<8
    case 2: 8..<11
    case 3: 11..<15
    default: 15..<17
    }
  }

  func leaf(ofCell cell: Int) -> Int { cell < 11 ? cell / 4 : 3 + (cell - 11) / 4 }

  /// The cell with all others of its tracker block.
  func block(ofCell cell: Int) -> Range<Int> {
    cell < 11 ? cell..<cell + 1 : 11 + (cell - 11) / 2 * 2..<11 + (cell - 11) / 2 * 2 + 2
  }

  /// The marked cells as extents.
  func extents(_ marks: [Bool]) -> [Extent] {
    var extents: [Extent] = []
    for disk in 0..<2 {
      var cell = 0
      while cell < sizes[disk] {
        let start = cell
        while cell < sizes[disk], marks[firstCell[disk] + cell] { cell += 1 }
        if start < cell { extents.append(Extent(disk: UInt16(disk), range: UInt64(start)..<UInt64(cell))) }
        cell += 1
      }
    }
    return extents
  }

  /// A record of what a leaf holds: the digest is the content itself, so that no two contents share one.
  func record(ofLeaf index: Int, _ values: some Collection<UInt16>) -> LeafRecord {
    let address = address(ofLeaf: index)
    let packed = values.reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    let isZero = packed == 0
    return LeafRecord(
      disk: address.disk, leaf: address.leaf, kind: isZero ? .zero : .data,
      digest: isZero ? .none : LeafDigest(a: packed, b: 0, c: 0, d: UInt64(index)))
  }
}
