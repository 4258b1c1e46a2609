/// How the blocks of a disk lie in its map: a byte each, then coarser levels, so that a request of any length costs the
/// program at most `stores` bytes.
struct DirtyMapLayout: Equatable {
  /// Coarser levels, each `1 << step` times as coarse as the one before.
  static let levels = 5
  static let step: UInt64 = 6
  /// Bytes the program sets at most for one request.
  static let stores = 33
  /// What the finest level of one disk may take, in bytes.
  static let limit: UInt64 = 16 << 20
  /// What those of all disks together may take, as far as that leaves each a MiB.
  static let sum: UInt64 = 32 << 20
  /// Value size of the array map.
  static let page: UInt64 = 4096

  /// Bytes.
  let size: UInt64
  /// Binary logarithm of the sectors in a block.
  let shift: UInt64
  /// Where each level begins, in units (bytes of the map).
  let bases: [UInt64]
  /// All units of all levels.
  let units: UInt64

  /// The finest layout whose map stays within the limits.
  /// - Parameter disks: how many are tracked together.
  init(size: UInt64, disks: Int = 1) {
    let limit = min(Self.limit, max(1 << 20, Self.sum / UInt64(max(1, disks))))
    var shift: UInt64 = 3
    while (size + (512 << shift) - 1) / (512 << shift) > limit { shift += 1 }
    self.init(size: size, shift: shift)
  }

  init(size: UInt64, shift: UInt64) {
    self.size = size
    self.shift = shift
    var bases: [UInt64] = []
    var end: UInt64 = 0
    var count = (size + (512 << shift) - 1) / (512 << shift)
    for _ in 0..<Self.levels {
      bases.append(end)
      end += count
      count = (count + (1 << Self.step) - 1) >> Self.step
    }
    self.bases = bases
    units = end
  }

  var sectors: UInt64 { size / 512 }
  var blockSize: UInt64 { 512 << shift }
  var blocks: UInt64 { bases[1] }
  /// Entries of the array map.
  var pages: UInt64 { (units + Self.page - 1) / Self.page }

  /// The blocks that a unit of the map stands for.
  func blocks(of unit: UInt64) -> Range<UInt64> {
    let level = bases.lastIndex { $0 <= unit } ?? 0
    let first = (unit - bases[level]) << (Self.step * UInt64(level))
    return first..<min(first + 1 << (Self.step * UInt64(level)), blocks)
  }
}
