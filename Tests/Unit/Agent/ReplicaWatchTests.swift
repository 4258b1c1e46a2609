import Testing
import Wire

@testable import Source

/// Marks are of one replica; a gateway put back to an earlier state has another.
@Suite struct ReplicaWatchTests {
  private let before = ReplicaMemory(sealed: ["p1"], epoch: 4)

  private func answer(_ previous: String, _ epoch: UInt64) -> OpenAnswer {
    OpenAnswer(epoch: epoch, previous: previous, parts: 0, chain: "")
  }

  private func note(_ watch: inout ReplicaWatch, _ answer: OpenAnswer) -> Bool { watch.opened(answer) }

  @Test func `openings that follow on one another are remembered, with the seal that was asked for`() {
    var watch = ReplicaWatch(before: before)
    #expect(watch.memory(receipt: nil, asked: nil) == nil)
    #expect(note(&watch, answer("p1", 5)) == true)
    #expect(note(&watch, answer("p1", 8)) == true)
    #expect(watch.contradiction == nil)
    #expect(watch.memory(receipt: nil, asked: nil) == ReplicaMemory(sealed: ["p1"], epoch: 8))
    #expect(watch.memory(receipt: nil, asked: "p2") == ReplicaMemory(sealed: ["p1", "p2"], epoch: 8))
  }

  @Test(arguments: [("p0", UInt64(9)), ("p1", 6), ("p1", 5), ("p2", 7)])
  func `a gateway put back in mid-sync is noticed, and never trusted by a later sync`(
    _ previous: String, _ epoch: UInt64
  ) throws {
    var watch = ReplicaWatch(before: before)
    #expect(note(&watch, answer("p1", 6)) == true)
    #expect(note(&watch, answer(previous, epoch)) == false)
    let memory = try #require(watch.memory(receipt: nil, asked: nil))
    // Not even when its epochs have caught up.
    for later in [epoch + 1, 100] { #expect(memory.contradiction(answer(previous, later)) != nil) }
    var next = ReplicaWatch(before: memory)
    #expect(note(&next, answer(previous, epoch + 1)) == true)
    #expect(next.contradiction != nil)
    let kept = try #require(next.memory(receipt: nil, asked: nil))
    #expect(kept.contradiction(answer(previous, epoch + 2)) != nil)
  }

  @Test func `a gateway that lost parts of the manifest is not trusted by a later sync`() throws {
    var watch = ReplicaWatch(before: before)
    #expect(note(&watch, answer("p1", 5)) == true)
    #expect(note(&watch, answer("p1", 6)) == true)
    watch.diverged()
    let memory = try #require(watch.memory(receipt: nil, asked: nil))
    #expect(memory.contradiction(answer("p1", 7)) != nil)
  }

  @Test func `what contradicts at the first opening is forgotten only by a walk`() throws {
    var watch = ReplicaWatch(before: before)
    #expect(note(&watch, answer("p1", 3)) == true)
    #expect(watch.contradiction != nil)
    // The sync goes on, and the reopening follows on the first opening.
    #expect(note(&watch, answer("p1", 4)) == true)
    #expect(watch.contradiction != nil)
    #expect(watch.memory(receipt: nil, asked: nil)?.contradiction(answer("p1", 5)) != nil)
    watch.established()
    #expect(watch.contradiction == nil)
    #expect(watch.memory(receipt: nil, asked: nil)?.contradiction(answer("p1", 5)) == nil)
    // A walk says nothing of what is settled after it.
    #expect(note(&watch, answer("p1", 4)) == false)
    #expect(watch.memory(receipt: nil, asked: nil)?.contradiction(answer("p1", 5)) != nil)
  }
}
