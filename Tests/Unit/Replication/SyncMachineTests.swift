import Replication
import Testing

/// One disk of 16 cells in four leaves of four; a block is a cell.
@Suite struct SyncMachineTests {
  let epoch = Epoch(rawValue: 1)

  func machine(_ mode: SyncMachine.Mode, final: Bool = false, _ change: (inout SyncMachine.Settings) -> Void = { _ in })
    -> SyncMachine
  {
    var settings = SyncMachine.Settings()
    (settings.leaf, settings.frameLeaves, settings.instantBytes) = (4, 2, 8)
    change(&settings)
    return SyncMachine(
      mode: mode, final: final, disks: [SyncMachine.Disk(size: 16, block: 1)], settings: settings)
  }

  func held(_ leaves: Range<Int>) -> SyncMachine.Event {
    var bitmap = Bitmap(count: 4)
    bitmap.insert(leaves)
    return .opened(SyncMachine.Opened(epoch: epoch, parts: 0, held: [bitmap]))
  }

  func prepared(_ used: Range<UInt64> = 0..<16, pending: [Range<UInt64>] = [], voided: String? = nil)
    -> SyncMachine.Event
  {
    .prepared(
      SyncMachine.Prepared(voided: voided, pending: pending.map { Extent(disk: 0, range: $0) }, used: [[used]]))
  }

  func frames(_ actions: [SyncMachine.Action]) -> [SyncMachine.Frame] {
    actions.compactMap { if case .carry(let frame) = $0 { frame } else { nil } }
  }

  func flushes(_ actions: [SyncMachine.Action]) -> [SyncMachine.Flush] {
    actions.compactMap { if case .flush(let flush) = $0 { flush } else { nil } }
  }

  func records(_ frame: SyncMachine.Frame, equal: Bool = false) -> [LeafRecord] {
    frame.leaves.map { LeafRecord(disk: 0, leaf: $0, kind: .zero, equal: equal) }
  }

  /// A delta over a replica that holds everything, until its first take is asked for.
  func tracking(final: Bool = false) -> SyncMachine {
    var sync = machine(.delta, final: final)
    #expect(sync.handle(.start) == [.open(fresh: true)])
    #expect(sync.handle(held(0..<4)) == [.prepare(restart: false)])
    #expect(sync.handle(prepared()) == [.take(syncFirst: true)])
    return sync
  }

  /// Carries all frames and settles the flushes that follow; returns what comes after.
  func settle(_ sync: inout SyncMachine, _ actions: [SyncMachine.Action]) -> [SyncMachine.Action] {
    var next = actions
    while true {
      if let frame = frames(next).first {
        var after = Array(next.drop { $0 != .carry(frame) }.dropFirst())
        after += sync.handle(.carried(frame.sequence, frame.origin == .disk ? records(frame) : []))
        next = after
      } else if let flush = flushes(next).first {
        next = sync.handle(.flushed(epoch, part: flush.part))
      } else {
        return next
      }
    }
  }

  @Test func `a full sync marks and sends what is in use, and says what is free`() {
    var sync = machine(.full)
    _ = sync.handle(.start)
    #expect(sync.handle(held(0..<0)) == [.prepare(restart: true)])
    let begun = sync.handle(prepared(0..<8))
    #expect(begun.first == .mark([Extent(disk: 0, range: 0..<8)], establishes: true))
    #expect(flushes(begun).first?.records == [LeafRecord(disk: 0, leaf: 2, run: 2, kind: .free)])
    let sent = sync.handle(.flushed(epoch, part: 0))
    #expect(frames(sent).map(\.leaves) == [[0, 1]])
    #expect(frames(sent).first?.comparable == [])
    let after = settle(&sync, sent)
    #expect(after == [.settle([Extent(disk: 0, range: 0..<4), Extent(disk: 0, range: 4..<8)]), .take(syncFirst: true)])
  }

  @Test func `a compare sends nothing that is found equal`() {
    var sync = machine(.compare)
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<4))
    let sent = frames(sync.handle(prepared()))
    #expect(sent.map(\.comparable) == [[0, 1], [2, 3]])
    _ = sync.handle(.carried(sent[0].sequence, records(sent[0], equal: true)))
    let flush = flushes(sync.handle(.carried(sent[1].sequence, records(sent[1], equal: true))))
    #expect(flush.first?.records.count == 4)
    #expect(flush.first?.records.allSatisfy(\.equal) == true)
  }

  @Test func `a changed block is sent alone where the leaf is held, else with its leaf`() {
    var sync = machine(.delta)
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<1))
    _ = sync.handle(prepared(0..<4))
    _ = sync.handle(.flushed(epoch, part: 0))
    let sent = frames(sync.handle(.taken([Extent(disk: 0, range: 1..<2), Extent(disk: 0, range: 9..<10)])))
    #expect(sent.flatMap(\.extents) == [Extent(disk: 0, range: 1..<2), Extent(disk: 0, range: 8..<12)])
  }

  @Test func `a delta that cannot be proven becomes a compare`() {
    var sync = machine(.delta)
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<4))
    #expect(sync.handle(prepared(voided: "reboot")) == [.prepare(restart: true)])
    #expect(!frames(sync.handle(prepared())).isEmpty)
    #expect(sync.progress.mode == .compare)
    #expect(sync.progress.voided == "reboot")
  }

  @Test func `a lost frame is sent again under a new sequence, and through passes it`() {
    var sync = tracking()
    let first = frames(sync.handle(.taken([Extent(disk: 0, range: 0..<1)])))[0]
    let second = frames(sync.handle(.lost(first.sequence)))[0]
    #expect(second.sequence > first.sequence)
    #expect(second.extents == first.extents)
    #expect(sync.handle(.carried(first.sequence, records(first))).isEmpty)
    let flush = flushes(sync.handle(.carried(second.sequence, records(second))))
    #expect(flush.first?.through == second.sequence)
  }

  @Test func `a leaf is in one unsettled frame at a time`() {
    var sync = tracking()
    let sent = frames(sync.handle(.taken([Extent(disk: 0, range: 0..<1)])))
    #expect(sent.count == 1)
    let flush = flushes(sync.handle(.carried(sent[0].sequence, records(sent[0]))))[0]
    #expect(flush.records.map(\.leaf) == [0])
  }

  @Test func `when the epoch closes everything unsettled is sent again`() {
    var sync = tracking()
    let sent = frames(sync.handle(.taken([Extent(disk: 0, range: 0..<1), Extent(disk: 0, range: 12..<13)])))
    _ = sync.handle(.carried(sent[0].sequence, records(sent[0])))
    #expect(sync.handle(.epochClosed(epoch)) == [.open(fresh: false)])
    #expect(sync.handle(.epochClosed(epoch)).isEmpty)
    var all = Bitmap(count: 4)
    all.insert(0..<4)
    let newer = Epoch(rawValue: 2)
    let again = frames(sync.handle(.opened(SyncMachine.Opened(epoch: newer, parts: 0, held: [all]))))
    #expect(again.flatMap(\.extents) == sent.flatMap(\.extents))
    #expect(again.allSatisfy { $0.epoch == newer })
  }

  @Test func `a late answer to a flush of a closed epoch settles nothing`() {
    var sync = tracking()
    let sent = frames(sync.handle(.taken([Extent(disk: 0, range: 0..<1)])))[0]
    _ = sync.handle(.carried(sent.sequence, records(sent)))
    _ = sync.handle(.epochClosed(epoch))
    var all = Bitmap(count: 4)
    all.insert(0..<4)
    let newer = Epoch(rawValue: 2)
    let again = frames(sync.handle(.opened(SyncMachine.Opened(epoch: newer, parts: 0, held: [all]))))[0]
    _ = sync.handle(.carried(again.sequence, records(again)))
    #expect(sync.handle(.flushed(epoch, part: 0)).isEmpty)
    #expect(sync.handle(.flushed(newer, part: 0)).first == .settle([Extent(disk: 0, range: 0..<1)]))
  }

  @Test func `a part that was stored unheard is settled at the reopening`() {
    var sync = tracking()
    let sent = frames(sync.handle(.taken([Extent(disk: 0, range: 0..<1)])))[0]
    _ = sync.handle(.carried(sent.sequence, records(sent)))
    _ = sync.handle(.epochClosed(epoch))
    var all = Bitmap(count: 4)
    all.insert(0..<4)
    let actions = sync.handle(
      .opened(SyncMachine.Opened(epoch: Epoch(rawValue: 2), parts: 1, held: [all])))
    #expect(actions.first == .settle([Extent(disk: 0, range: 0..<1)]))
    #expect(frames(actions).isEmpty)
  }

  /// A delta up to its frozen instant's take.
  func frozen(final: Bool = false) -> SyncMachine {
    var sync = tracking(final: final)
    #expect(sync.handle(.taken([])) == [.freeze(hold: final)])
    #expect(sync.handle(.frozen) == [.take(syncFirst: false)])
    return sync
  }

  @Test func `the instant is captured, thawed, sent from memory, settled, sealed`() {
    var sync = frozen()
    let extent = Extent(disk: 0, range: 5..<7)
    #expect(sync.handle(.taken([extent])) == [.capture([extent])])
    #expect(sync.handle(.captured([LeafRecord(disk: 0, leaf: 1, kind: .zero)])) == [.thaw])
    let sent = frames(sync.handle(.thawed(inTime: true)))
    #expect(sent.map(\.origin) == [.memory])
    let again = frames(sync.handle(.lost(sent[0].sequence)))
    #expect(again.map(\.origin) == [.memory])
    let after = settle(&sync, again.map { .carry($0) })
    #expect(after == [.settle([extent]), .release, .seal(epoch: epoch, final: false)])
    #expect(sync.handle(.sealed) == [.finish(.sealed)])
  }

  @Test func `an instant over the bound is given up and another round goes`() {
    var sync = frozen()
    #expect(sync.handle(.taken([Extent(disk: 0, range: 0..<9)])) == [.thaw])
    let sent = sync.handle(.thawed(inTime: true))
    #expect(frames(sent).allSatisfy { $0.origin == .disk })
    #expect(settle(&sync, sent).last == .take(syncFirst: true))
  }

  @Test func `a watchdog that was first voids the instant`() {
    var sync = frozen()
    _ = sync.handle(.taken([Extent(disk: 0, range: 0..<1)]))
    _ = sync.handle(.captured([LeafRecord(disk: 0, leaf: 0, kind: .zero)]))
    let actions = sync.handle(.thawed(inTime: false))
    #expect(actions.first == .release)
    #expect(frames(actions).map(\.origin) == [.disk])
  }

  @Test func `a mismatch is sent whole, and a new instant follows`() {
    var sync = frozen()
    _ = sync.handle(.taken([]))
    #expect(sync.handle(.thawed(inTime: true)) == [.seal(epoch: epoch, final: false)])
    let again = sync.handle(.mismatched([LeafAddress(disk: 0, leaf: 3)]))
    #expect(again.first == .mark([Extent(disk: 0, range: 12..<16)], establishes: false))
    #expect(frames(again).flatMap(\.extents) == [Extent(disk: 0, range: 12..<16)])
    #expect(settle(&sync, again).last == .take(syncFirst: true))
    #expect(sync.handle(.taken([])) == [.freeze(hold: false)])
  }

  @Test func `a final sync streams while frozen and powers off without thawing`() {
    var sync = frozen(final: true)
    let sent = sync.handle(.taken([Extent(disk: 0, range: 0..<16)]))
    #expect(frames(sent).allSatisfy { $0.origin == .disk })
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
    #expect(sync.handle(.deadline).isEmpty)
    #expect(sync.handle(.sealed) == [.powerOff, .finish(.sealed)])
  }

  @Test func `a final sync goes on taking and sending until a take comes back empty`() {
    var sync = frozen(final: true)
    var sent = sync.handle(.taken([Extent(disk: 0, range: 0..<4)]))
    for cell in UInt64(4)..<7 {
      #expect(settle(&sync, sent).last == .take(syncFirst: false))
      sent = sync.handle(.taken([Extent(disk: 0, range: cell..<cell + 1)]))
      #expect(frames(sent).flatMap(\.extents) == [Extent(disk: 0, range: cell..<cell + 1)])
    }
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
  }

  @Test func `a final sync that loses tracking while it streams thaws and compares`() {
    var sync = frozen(final: true)
    let sent = sync.handle(.taken([Extent(disk: 0, range: 0..<4)]))
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    // Describing the disks may wait for a filesystem that is still frozen.
    #expect(sync.handle(.trackingLost(reason: "gone")) == [.thaw])
    #expect(sync.handle(.thawed(inTime: true)) == [.prepare(restart: true)])
    #expect(sync.handle(prepared()).first == .mark([Extent(disk: 0, range: 0..<16)], establishes: true))
  }

  @Test func `a deadline before the final seal is requested thaws and ends`() {
    var sync = frozen(final: true)
    _ = sync.handle(.taken([Extent(disk: 0, range: 0..<16)]))
    #expect(sync.handle(.deadline) == [.thaw])
    guard case .finish(.ended) = sync.handle(.thawed(inTime: true)).last else {
      Issue.record("the sync did not end")
      return
    }
  }

  @Test func `after the final seal was requested only the gateway's word ends the sync`() {
    var sync = frozen(final: true)
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
    #expect(sync.handle(.cancel(reason: "stop")).isEmpty)
    #expect(sync.handle(.deadline).isEmpty)
    #expect(sync.handle(.epochClosed(epoch)) == [.open(fresh: false)])
    #expect(sync.handle(.cancel(reason: "stop")).isEmpty)
    var sealed = sync
    #expect(sealed.handle(.alreadySealed) == [.powerOff, .finish(.sealed)])
    #expect(sync.handle(.retired(reason: "superseded")) == [.thaw])
    #expect(sync.handle(.retired(reason: "twice")).isEmpty)
    #expect(sync.handle(.thawed(inTime: true)) == [.finish(.ended(reason: "superseded"))])
  }

  @Test func `leaves that the disks do not have are no leaves`() {
    let nonsense = [LeafAddress(disk: 0, leaf: 4), LeafAddress(disk: 7, leaf: 0)]
    var final = frozen(final: true)
    _ = final.handle(.taken([]))
    #expect(final.handle(.mismatched(nonsense)) == [.open(fresh: false)])
    let sent = final.handle(held(0..<4))
    #expect(sent == [.seal(epoch: epoch, final: true)])
    let mended = final.handle(.mismatched(nonsense + [LeafAddress(disk: 0, leaf: 2)]))
    #expect(settle(&final, mended).last == .take(syncFirst: false))
    #expect(frames(mended).map(\.leaves) == [[2]])
    var point = frozen()
    _ = point.handle(.taken([]))
    _ = point.handle(.thawed(inTime: true))
    guard case .finish(.ended) = point.handle(.mismatched(nonsense)).last else {
      Issue.record("the sync did not end")
      return
    }
  }

  @Test func `an agent that died after the final seal request goes on frozen, or powers off`() {
    var sync = SyncMachine(
      mode: .delta, final: true, resumesFinal: true, disks: [SyncMachine.Disk(size: 16, block: 1)],
      settings: {
        var settings = SyncMachine.Settings()
        settings.leaf = 4
        return settings
      }())
    _ = sync.handle(.start)
    var sealed = sync
    #expect(sealed.handle(.alreadySealed) == [.powerOff, .finish(.sealed)])
    var retired = sync
    #expect(retired.handle(.retired(reason: "superseded")) == [.thaw])
    _ = sync.handle(held(0..<4))
    #expect(sync.handle(prepared()) == [.take(syncFirst: false)])
    #expect(sync.handle(.taken([])) == [.seal(epoch: epoch, final: true)])
  }

  /// Feeds takes of the whole disk until the machine asks for none; returns how many, and what it asked for then.
  private func keepWriting(_ sync: inout SyncMachine) -> (takes: Int, last: [SyncMachine.Action]) {
    for takes in 1...20 {
      let actions = sync.handle(.taken([Extent(disk: 0, range: 0..<16)]))
      let last = settle(&sync, actions)
      if last.last != .take(syncFirst: true) { return (takes, last) }
    }
    return (20, [])
  }

  @Test func `a source that never gets quiet ends a delta`() {
    var sync = tracking()
    let end = keepWriting(&sync)
    // The first round is what had gathered; it tells nothing.
    #expect(end.takes == 1 + SyncMachine.Settings().stalledRounds)
    #expect(end.last.last == .finish(.notConverging))
  }

  @Test func `a final sync freezes a source that never gets quiet, and streams`() {
    var sync = tracking(final: true)
    let end = keepWriting(&sync)
    #expect(end.takes == 1 + SyncMachine.Settings().stalledRounds)
    #expect(end.last.last == .freeze(hold: true))
    #expect(sync.handle(.frozen) == [.take(syncFirst: false)])
    let sent = sync.handle(.taken([Extent(disk: 0, range: 0..<16)]))
    #expect(settle(&sync, sent).last == .take(syncFirst: false))
    #expect(sync.handle(.taken([])).last == .seal(epoch: epoch, final: true))
  }

  @Test func `rounds that shrink are not counted`() {
    var sync = machine(.delta) { ($0.stalledRounds, $0.instantBytes) = (1, 1) }
    _ = sync.handle(.start)
    _ = sync.handle(held(0..<4))
    _ = sync.handle(prepared())
    for bytes in [16, 11, 8, 5, 3] as [UInt64] {
      let actions = sync.handle(.taken([Extent(disk: 0, range: 0..<bytes)]))
      let after = settle(&sync, actions)
      #expect(after.last == .take(syncFirst: true))
    }
    #expect(sync.handle(.taken([Extent(disk: 0, range: 0..<3)])).last == .finish(.notConverging))
  }
}
