/// A scrub: leaves that nobody says have changed are compared like those of a walk, and what differs is sent.
///
/// A leaf that differs is only a *missed* write if no take up to the instant names it: the read may have seen a write
/// whose completion the tracker had still to report, and the instant's take is one of a disk that stands still.
extension SyncMachine {
  struct Scrub: Hashable, Sendable {
    /// Bytes of each disk.
    var window: Range<UInt64>
    /// Leaves compared so far.
    var compared = 0
    /// Leaves that are being compared, and those that differed.
    var underway: Set<LeafAddress> = []
    var suspects: Set<LeafAddress> = []
  }

  /// Adds the clean leaves of the window to what is compared. A walk compares them anyway.
  mutating func beginScrub() {
    guard var scrub, !hasWalked else { return }
    for disk in maps.indices {
      for leaf in maps[disk].leaves(of: scrub.window) {
        let blocks = maps[disk].blocks(ofLeaf: leaf)
        let isDirty = maps[disk].dirty.next(from: blocks.lowerBound).map { $0 < blocks.upperBound } ?? false
        guard maps[disk].used[leaf], maps[disk].held[leaf], !isDirty, !maps[disk].busy[leaf] else { continue }
        maps[disk].dirty.insert(blocks)
        maps[disk].comparable[leaf] = true
        scrub.underway.insert(LeafAddress(disk: UInt16(disk), leaf: UInt64(leaf)))
      }
    }
    self.scrub = scrub
  }

  /// Notes what differs from the gateway's claim.
  mutating func noteScrubbed(_ records: [LeafRecord], comparable: [UInt64]) {
    guard scrub?.underway.isEmpty == false else { return }
    for record in records where scrub?.underway.remove(record.address) != nil {
      scrub?.compared += 1
      if !record.equal, comparable.contains(record.leaf) { scrub?.suspects.insert(record.address) }
    }
  }

  /// These were written meanwhile: what differs there is no wonder.
  mutating func clearSuspects(_ extents: [Extent]) {
    guard scrub?.underway.isEmpty == false || scrub?.suspects.isEmpty == false else { return }
    for extent in extents {
      for leaf in maps[Int(extent.disk)].leaves(of: extent.range) {
        let address = LeafAddress(disk: extent.disk, leaf: UInt64(leaf))
        scrub?.underway.remove(address)
        scrub?.suspects.remove(address)
      }
    }
  }

  /// Forgets the scrub where everything is compared for another reason.
  mutating func endScrub() {
    scrub?.underway = []
    scrub?.suspects = []
  }

  /// Leaves compared, and those missed by the tracker as far as that is known.
  var scrubbed: (compared: Int, missed: Int) {
    (scrub?.compared ?? 0, stage == .sealing || stage == .ended ? scrub?.suspects.count ?? 0 : 0)
  }
}
