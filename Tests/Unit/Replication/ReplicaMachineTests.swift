import Replication
import Testing

@Suite struct ReplicaMachineTests {
  let epoch = Epoch(rawValue: 1)

  /// A replica of one disk with four leaves, of which `held` are known; opened by session `a` in epoch 1.
  func opened(held: Range<Int> = 0..<0) -> ReplicaMachine {
    var known = Bitmap(count: 4)
    known.insert(held)
    var unknown = Bitmap(count: 4)
    unknown.insert(0..<4)
    unknown.remove(held)
    var machine = ReplicaMachine(stored: ReplicaMachine.Stored(), held: [known], unknown: [unknown])
    _ = machine.handle(.open(1, session: "a", ordinal: 1, fresh: true))
    #expect(machine.handle(.openingStored(1)) == [.reply(1, .opened(epoch: epoch, parts: 0))])
    return machine
  }

  func frame(_ request: UInt64, _ sequence: UInt64, leaf: UInt64 = 0, whole: Bool = true) -> ReplicaMachine.Event {
    .frame(
      request, session: "a", epoch: epoch, sequence: Sequence(rawValue: sequence),
      touches: [ReplicaMachine.Touch(address: LeafAddress(disk: 0, leaf: leaf), whole: whole)])
  }

  func flush(_ request: UInt64, through: UInt64, part: UInt64, _ records: [LeafRecord]) -> ReplicaMachine.Event {
    .flush(
      request, session: "a", epoch: epoch, through: Sequence(rawValue: through), part: part, records: records)
  }

  func record(_ leaf: UInt64, _ value: UInt64 = 7) -> LeafRecord {
    LeafRecord(disk: 0, leaf: leaf, kind: .data, digest: LeafDigest(a: value, b: 0, c: 0, d: 0))
  }

  @Test func `a known leaf is durably unknown before it is written`() {
    var machine = opened(held: 0..<1)
    #expect(machine.handle(frame(2, 1)) == [.markUnknown(2, [LeafAddress(disk: 0, leaf: 0)])])
    #expect(machine.held[0][0])
    #expect(machine.handle(.unknownMarked(2)) == [.write(2)])
    #expect(!machine.held[0][0])
    #expect(machine.handle(.written(2)) == [.reply(2, .acknowledged)])
    #expect(machine.handle(frame(3, 2)) == [.write(3)])
  }

  @Test func `frames of one leaf follow each other, and a lower sequence is stale`() {
    var machine = opened()
    #expect(machine.handle(frame(2, 5)) == [.write(2)])
    #expect(machine.handle(frame(3, 4)) == [.reply(3, .refused(.stale))])
    #expect(machine.handle(frame(4, 6)).isEmpty)
    #expect(machine.handle(frame(5, 1, leaf: 1)) == [.write(5)])
    #expect(machine.handle(.written(2)) == [.reply(2, .acknowledged), .write(4)])
  }

  @Test func `a flush claims what one settled frame wrote whole`() {
    var machine = opened()
    for event in [frame(2, 1), .written(2), frame(3, 2, leaf: 1, whole: false), .written(3)] {
      _ = machine.handle(event)
    }
    #expect(machine.handle(flush(4, through: 2, part: 0, [record(0), record(1)])) == [.flushVolumes(4)])
    #expect(
      machine.handle(.volumesFlushed(4))
        == [.storePart(4, number: 0, records: [record(0), record(1)], claims: [record(0)])])
    #expect(machine.handle(.partStored(4)) == [.reply(4, .flushed(through: Sequence(rawValue: 2)))])
    #expect(machine.held[0][0])
    #expect(!machine.held[0][1])
  }

  @Test func `a leaf touched while the volumes are flushed is not claimed`() {
    var machine = opened()
    for event in [frame(2, 1), .written(2), flush(3, through: 1, part: 0, [record(0)]), frame(4, 2)] {
      _ = machine.handle(event)
    }
    #expect(machine.handle(.volumesFlushed(3)) == [.storePart(3, number: 0, records: [record(0)], claims: [])])
  }

  @Test func `no frame begins while a part is stored`() {
    var machine = opened()
    for event in [frame(2, 1), .written(2), flush(3, through: 1, part: 0, [record(0)]), .volumesFlushed(3)] {
      _ = machine.handle(event)
    }
    #expect(machine.handle(frame(4, 2)).isEmpty)
    #expect(machine.handle(.partStored(3)).contains(.markUnknown(4, [LeafAddress(disk: 0, leaf: 0)])))
  }

  @Test func `what is at or below through is never written any more`() {
    var machine = opened()
    for event in [flush(2, through: 3, part: 0, []), .volumesFlushed(2), .partStored(2)] { _ = machine.handle(event) }
    #expect(machine.handle(frame(3, 3)) == [.reply(3, .refused(.stale))])
    #expect(machine.handle(frame(4, 4)) == [.write(4)])
  }

  @Test func `the same part may be repeated, another one may not`() {
    var machine = opened()
    for event in [flush(2, through: 3, part: 0, []), .volumesFlushed(2), .partStored(2)] { _ = machine.handle(event) }
    #expect(
      machine.handle(flush(3, through: 3, part: 0, [])) == [.reply(3, .flushed(through: Sequence(rawValue: 3)))])
    #expect(machine.handle(flush(4, through: 3, part: 2, [])) == [.reply(4, .refused(.outOfOrder))])
    #expect(machine.handle(flush(5, through: 2, part: 1, [])) == [.reply(5, .refused(.outOfOrder))])
  }

  @Test func `an opening waits for running writes and closes the epoch before`() {
    var machine = opened()
    _ = machine.handle(frame(2, 1))
    #expect(machine.handle(.open(3, session: "a", ordinal: 1, fresh: false)).isEmpty)
    #expect(machine.handle(frame(4, 2, leaf: 1)).isEmpty)
    #expect(machine.handle(.written(2)).count == 2)
    #expect(
      machine.handle(.openingStored(3))
        == [.reply(3, .opened(epoch: Epoch(rawValue: 2), parts: 0)), .reply(4, .refused(.epochClosed))])
  }

  @Test func `a restarted gateway has no epoch open`() {
    let stored = ReplicaMachine.Stored(session: "a", epoch: epoch)
    var machine = ReplicaMachine(stored: stored, held: [Bitmap(count: 4)], unknown: [Bitmap(count: 4)])
    #expect(machine.handle(frame(1, 1)) == [.reply(1, .refused(.epochClosed))])
    #expect(machine.handle(flush(2, through: 1, part: 0, [])) == [.reply(2, .refused(.epochClosed))])
  }

  @Test func `a concluded session is sealed already, or can never be`() {
    var machine = opened()
    let actions = machine.handle(.conclude(2, session: "a", ordinal: 1))
    guard case .storeOpening(2, let stored, dropManifest: true) = actions.first else {
      Issue.record("\(actions)")
      return
    }
    #expect(stored.session == nil && stored.ordinal == 1 && !stored.sealed)
    #expect(machine.handle(frame(3, 1)).isEmpty, "nothing is written while it is decided")
    #expect(
      machine.handle(.openingStored(2)) == [.reply(2, .retired), .reply(3, .refused(.epochClosed))])
    #expect(machine.handle(.open(4, session: "a", ordinal: 1, fresh: false)) == [.reply(4, .refused(.superseded))])
    #expect(machine.handle(.conclude(5, session: "a", ordinal: 1)) == [.reply(5, .retired)])
    _ = machine.handle(.open(6, session: "b", ordinal: 2, fresh: true))
    _ = machine.handle(.openingStored(6))
    for event in [
      ReplicaMachine.Event.seal(7, session: "b", epoch: machine.stored.epoch, parts: 0),
      .readBackDone(7, mismatches: []), .sealStored(7)
    ] { _ = machine.handle(event) }
    #expect(machine.handle(.conclude(8, session: "b", ordinal: 2)) == [.reply(8, .sealed)])
  }

  @Test func `a session that was opened later supersedes, and the older one can never come back`() {
    var machine = opened()
    _ = machine.handle(.open(2, session: "b", ordinal: 2, fresh: true))
    _ = machine.handle(.openingStored(2))
    #expect(machine.handle(frame(3, 1)) == [.reply(3, .refused(.epochClosed))])
    #expect(machine.handle(.open(4, session: "a", ordinal: 1, fresh: true)) == [.reply(4, .refused(.superseded))])
    #expect(machine.handle(.open(5, session: "c", ordinal: 2, fresh: true)) == [.reply(5, .refused(.superseded))])
    #expect(machine.stored.session == "b")
  }

  @Test func `a seal reads back, is stored, and refuses writes`() {
    var machine = opened()
    for event in [frame(2, 1), .written(2), flush(3, through: 1, part: 0, [record(0)]), .volumesFlushed(3)] {
      _ = machine.handle(event)
    }
    _ = machine.handle(.partStored(3))
    #expect(machine.handle(.seal(4, session: "a", epoch: epoch, parts: 1)) == [.readBack(4)])
    #expect(machine.handle(frame(5, 2)).isEmpty)
    #expect(machine.handle(.readBackDone(4, mismatches: [])) == [.storeSeal(4)])
    #expect(machine.handle(.sealStored(4)) == [.reply(4, .sealed), .reply(5, .refused(.sealed))])
    #expect(machine.handle(.seal(6, session: "a", epoch: epoch, parts: 1)) == [.reply(6, .sealed)])
    #expect(
      machine.handle(.open(7, session: "a", ordinal: 1, fresh: true))
        == [.reply(7, .alreadySealed(epoch: epoch, parts: 1))])
  }

  @Test func `a seal of what is not flushed, or of other parts, is refused`() {
    var machine = opened()
    #expect(
      machine.handle(.seal(2, session: "a", epoch: epoch, parts: 1)) == [.reply(2, .refused(.outOfOrder))])
    _ = machine.handle(frame(3, 1))
    _ = machine.handle(.written(3))
    #expect(
      machine.handle(.seal(4, session: "a", epoch: epoch, parts: 0)) == [.reply(4, .refused(.outOfOrder))])
  }

  @Test func `mismatching leaves become unknown and the session goes on`() {
    var machine = opened(held: 0..<4)
    let leaf = LeafAddress(disk: 0, leaf: 2)
    _ = machine.handle(.seal(2, session: "a", epoch: epoch, parts: 0))
    #expect(machine.handle(.readBackDone(2, mismatches: [leaf])) == [.markUnknown(2, [leaf])])
    #expect(machine.handle(.unknownMarked(2)) == [.reply(2, .mismatched([leaf]))])
    #expect(!machine.held[0][2])
    #expect(machine.handle(frame(3, 1, leaf: 2)) == [.write(3)])
  }

  @Test func `a failed flush closes the epoch`() {
    var machine = opened()
    _ = machine.handle(flush(2, through: 0, part: 0, []))
    #expect(machine.handle(.failed(2, reason: "no")) == [.reply(2, .refused(.failed("no")))])
    #expect(machine.handle(frame(3, 1)) == [.reply(3, .refused(.epochClosed))])
  }

  @Test func `extents that add up to a leaf touch it wholly, also at the disk's end`() {
    let touches = ReplicaMachine.touches(
      of: [Extent(disk: 0, range: 0..<65536), Extent(disk: 0, range: 131072..<135168)], sizes: [135168])
    #expect(
      touches == [
        ReplicaMachine.Touch(address: LeafAddress(disk: 0, leaf: 0), whole: true),
        ReplicaMachine.Touch(address: LeafAddress(disk: 0, leaf: 2), whole: true)
      ])
    #expect(
      ReplicaMachine.touches(of: [Extent(disk: 0, range: 61440..<69632)], sizes: [135168]).map(\.whole)
        == [false, false])
  }
}
