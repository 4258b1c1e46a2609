import Replication

/// The machine that is moved: its disks, and the tracker's two maps.
struct Source {
  struct Write {
    var id: Int
    var cells: Range<Int>
    var values: [UInt16]
    var isApplied = false
    /// A take came between its landing and its completion.
    var sawTake = false
  }

  var cells: [UInt16]
  /// Leaves that filesystems use.
  var used: [Bool]
  var isFrozen = false
  var isOff = false
  /// A freeze waits for what is in flight.
  var isFreezing = false
  var inFlight: [Write] = []
  var written = 0

  /// The tracker: marks of completed writes, and of those taken and not settled.
  var live: [Bool]
  var pending: [Bool]
  var isTracking = false
  /// The maps name everything that is not settled.
  var isEstablished = false
  var hasMissed = false
  /// Leaves that were not in use when tracking began anew: what the gateway holds of them may be old.
  var suspects: Set<Int> = []

  init(grid: Grid, random: inout SplitMix) {
    cells = (0..<grid.cellCount).map { _ in UInt16(random.below(4)) }
    used = (0..<grid.leafCount).map { _ in !random.oneIn(4) }
    live = [Bool](repeating: false, count: grid.cellCount)
    pending = live
  }

  mutating func thaw() { (isFrozen, isFreezing) = (false, false) }

  mutating func loseTracker() {
    (isTracking, isEstablished) = (false, false)
    for cell in live.indices { (live[cell], pending[cell]) = (false, false) }
  }

  mutating func restartTracker() {
    loseTracker()
    (isTracking, hasMissed) = (true, false)
  }
}

extension World {
  /// A process of the source writes: part of a leaf, a whole leaf, across leaves, or a discard.
  func issueWrite() {
    guard !source.isFrozen, !source.isFreezing, !source.isOff, source.inFlight.count < 3 else { return }
    source.written += 1
    let leaf = random.below(grid.leafCount)
    let whole = grid.cells(ofLeaf: leaf)
    var cells = whole
    switch random.below(5) {
    case 0: break
    case 1:
      let start = whole.lowerBound + random.below(whole.count)
      let disk = start < 11 ? 0..<11 : 11..<17
      cells = start..<min(start + 1 + random.below(4), disk.upperBound)
    default:
      let start = whole.lowerBound + random.below(whole.count)
      cells = start..<start + 1
    }
    var values = cells.map { _ in random.oneIn(3) ? UInt16(random.below(3)) : UInt16(10 + source.written) }
    if random.oneIn(8) { values = values.map { _ in 0 } }
    if cells == whole, random.oneIn(4) {
      source.used[leaf] = false
    } else {
      for cell in cells { source.used[grid.leaf(ofCell: cell)] = true }
    }
    let write = Source.Write(id: source.written, cells: cells, values: values)
    source.inFlight.append(write)
    if sabotage == .marksWritesWhenIssued { mark(cells) }
    schedule(.source, holds: random.oneIn(4) ? 10 : 0) { [unowned self] in
      guard let index = source.inFlight.firstIndex(where: { $0.id == write.id }) else { return }
      source.cells.replaceSubrange(cells, with: values)
      source.inFlight[index].isApplied = true
      schedule(.source, holds: random.oneIn(4) ? 10 : 0) { [unowned self] in complete(write.id) }
    }
  }

  /// Something that cannot be frozen writes while the source waits for its final seal: cell after cell.
  func writeWhileHeld() {
    guard sealNote != nil, source.isFrozen, !source.isOff, !source.hasMissed, let image = instants[session] else {
      return
    }
    let usable = grid.looseCells.filter { image.used[grid.leaf(ofCell: $0)] }
    for _ in 0...random.below(3) {
      guard let cell = usable.randomElement(using: &random) else { return }
      report.hit(.writtenWhileHeld)
      source.written += 1
      source.cells[cell] = UInt16(10 + source.written)
      mark(cell..<cell + 1)
      instants[session]?.loose.append(Array(source.cells[grid.looseCells]))
    }
  }

  private func complete(_ id: Int) {
    guard let index = source.inFlight.firstIndex(where: { $0.id == id }) else { return }
    let write = source.inFlight.remove(at: index)
    if write.sawTake { report.hit(.writeCompletedAfterTake) }
    if sabotage != .marksWritesWhenIssued { mark(write.cells) }
  }

  private func mark(_ cells: Range<Int>) {
    guard source.isTracking else { return }
    if source.hasMissed && random.oneIn(2) { return }
    for cell in cells {
      for marked in grid.block(ofCell: cell) { source.live[marked] = true }
    }
  }

  /// From now on some writes go by unmarked; the counters tell.
  func missWrites() {
    guard source.isTracking, !source.hasMissed else { return }
    source.hasMissed = true
  }

  /// Whether the tracker can prove that it saw every write.
  var isProven: Bool {
    if sabotage == .hidesTrackingLoss { return source.isTracking && source.isEstablished }
    return source.isTracking && source.isEstablished && !source.hasMissed
  }

  /// Every write that has landed and is marked nowhere yet.
  func isInFlight(_ cell: Int) -> Bool {
    source.inFlight.contains { $0.isApplied && $0.cells.contains(cell) }
  }
}
