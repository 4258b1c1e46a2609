import Replication
import Testing

/// After the seal was asked for: what is sent again, taken again, and given up.
extension SyncMachineTests {
  private func sealing(_ change: (inout SyncMachine.Settings) -> Void = { _ in }) -> SyncMachine {
    var sync = machine(.delta, final: true, change)
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<4))
    _ = sync.handle(prepared())
    #expect(sync.handle(.taken([])) == [.freeze(hold: true)])
    _ = sync.handle(.frozen)
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
    return sync
  }

  private static let wrong: [LeafAddress] = [LeafAddress(disk: 0, leaf: 3)]

  @Test func `what is sent after the seal request is taken after, until nothing was written meanwhile`() {
    var sync = sealing()
    let sent = sync.handle(.mismatched(Self.wrong))
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    let more = sync.handle(.taken([Extent(disk: 0, range: 1..<2)]))
    #expect(settle(&sync, more).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
    #expect(!sync.progress.isDisturbed)
  }

  @Test func `frames lost with their epoch after the seal request are followed by a take`() {
    var sync = sealing()
    _ = sync.handle(.mismatched(Self.wrong))
    #expect(sync.handle(.epochClosed(epoch)) == [.open(fresh: false)])
    let sent = sync.handle(held(0..<4))
    #expect(frames(sent).map(\.leaves) == [[3]])
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
    // Nothing was lost with this one: the last take still holds.
    #expect(sync.handle(.epochClosed(epoch)) == [.open(fresh: false)])
    var all = Bitmap(count: 4)
    all.insert(0..<4)
    let opened = sync.handle(.opened(SyncMachine.Opened(epoch: epoch, parts: 1, held: [all])))
    #expect(opened == [.seal(epoch: epoch, final: true)])
  }

  @Test func `a later life takes again what it found and sent`() {
    var settings = SyncMachine.Settings()
    (settings.leaf, settings.frameLeaves) = (4, 2)
    var sync = SyncMachine(
      mode: .delta, final: true, resumesFinal: true, disks: [.init(size: 16, block: 1)], settings: settings)
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<4))
    #expect(sync.handle(prepared()) == [.take(syncFirst: false)])
    let sent = sync.handle(.taken([Extent(disk: 0, range: 1..<2)]))
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
  }

  @Test func `a machine that is written without end while it stands still is sealed, and that is said`() {
    var sync = sealing { $0.heldTakes = 3 }
    let sent = sync.handle(.mismatched(Self.wrong))
    var after = settle(&sync, sent)
    for cell in 0..<UInt64(3) {
      #expect(after.last == .take(syncFirst: false))
      let sentAgain = sync.handle(.taken([Extent(disk: 0, range: cell..<cell + 1)]))
      after = settle(&sync, sentAgain)
    }
    #expect(after.last == .seal(epoch: epoch, final: true))
    #expect(sync.progress.isDisturbed)
  }

  @Test func `tracking that is lost after the seal request thaws nothing, and ends in a seal`() {
    var sync = sealing { $0.trackingLosses = 1 }
    let sent = sync.handle(.mismatched(Self.wrong))
    var after = settle(&sync, sent)
    for _ in 0..<2 {
      #expect(after.last == .take(syncFirst: false))
      #expect(sync.handle(.trackingLost(reason: "gone")) == [.prepare(restart: true)])
      let sentAgain = sync.handle(prepared())
      after = settle(&sync, sentAgain)
    }
    #expect(after.last == .seal(epoch: epoch, final: true))
  }

  @Test func `disks that cannot be tracked any more are walked once, and sealed`() {
    var sync = sealing()
    let sent = sync.handle(.mismatched(Self.wrong))
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.trackingLost(reason: "gone")) == [.prepare(restart: true)])
    let walk = sync.handle(prepared(voided: "no tracker"))
    #expect(settle(&sync, walk).last == .seal(epoch: epoch, final: true))
  }

  @Test func `a target that reads back something else time after time ends a sync`() {
    var sync = tracking()
    var next = sync.handle(.taken([]))
    for _ in 1..<SyncMachine.Settings().mismatchRounds {
      #expect(next == [.freeze(hold: false)])
      _ = sync.handle(.frozen)
      _ = sync.handle(.taken([]))
      #expect(sync.handle(.thawed(inTime: true)) == [.seal(epoch: epoch, final: false)])
      let again = sync.handle(.mismatched(Self.wrong))
      #expect(settle(&sync, again).last == .take(syncFirst: true))
      next = sync.handle(.taken([]))
    }
    _ = sync.handle(.frozen)
    _ = sync.handle(.taken([]))
    _ = sync.handle(.thawed(inTime: true))
    // What the target does not hold stays marked.
    #expect(
      sync.handle(.mismatched(Self.wrong)) == [
        .mark([Extent(disk: 0, range: 12..<16)], establishes: false), .finish(.targetUnreliable(leaves: 1))
      ])
  }

  @Test func `a final sync is never ended by mismatches, but counts them`() {
    var sync = sealing { $0.mismatchRounds = 2 }
    for round in 1...4 {
      let again = sync.handle(.mismatched(Self.wrong))
      #expect(settle(&sync, again).last == .take(syncFirst: false))
      #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
      #expect(sync.progress.mismatches == round && sync.progress.differing == 1)
    }
    #expect(sync.handle(.retired(reason: "ended")) == [.thaw])
  }
}
