import Testing
import Wire

@testable import Console

@Suite struct LiveTests {
  @Test("a reader is told everything at first, then what changed")
  func deltas() throws {
    var state = LiveFeed.State(generation: "g")
    #expect(try state.greeting(nil).isEmpty)
    _ = try state.take(["a": .number(1), "b": .text("x")])
    let delta = try #require(try state.take(["a": .number(2), "b": .text("x")]))
    #expect(delta.text == "id: g-2\nevent: delta\ndata: {\"a\":2}\n\n")
    #expect(try state.take(["a": .number(2), "b": .text("x")]) == nil)
    let gone = try #require(try state.take(["a": .number(2)]))
    #expect(gone.text.contains("{\"b\":null}"))
    let first = try state.greeting(nil)
    #expect(first.count == 1 && first[0].text == "id: g-3\nevent: snapshot\ndata: {\"a\":2}\n\n")
  }

  @Test("a reader that comes back is told what it missed, and everything where that is not known any more")
  func resuming() throws {
    var state = LiveFeed.State(generation: "g")
    for number in 1...100 { _ = try state.take(["a": .number(Double(number))]) }
    #expect(try state.greeting("g-98").map(\.sequence) == [99, 100])
    #expect(try state.greeting("g-100").isEmpty)
    #expect(try state.greeting("g-\(100 - LiveFeed.State.longestHistory)").count == LiveFeed.State.longestHistory)
    for strange in ["g-3", "g-101", "h-98", "g-", "g-x", ""] {
      let told = try state.greeting(strange)
      #expect(told.count == 1 && told[0].text.contains("event: snapshot"), "\(strange)")
    }
  }

  @Test("text of strangers cannot break out of an event")
  func hostileText() throws {
    var state = LiveFeed.State(generation: "g")
    let message = try #require(try state.take(["name": .text("a\n\nevent: evil\ndata: {}\r\u{2028}")]))
    #expect(message.text.split(separator: "\n").count == 3)
  }

  private func sync(_ done: UInt64, of used: UInt64, phase: String = "copying") -> MigrationAPI.Sync {
    let progress = SyncProgress(
      phase: phase, mode: .full, usedBytes: used, doneBytes: done, wireBytes: done, sentBytes: done, dirtyBytes: 0)
    return .init(
      id: "s", migration: "m", mode: .full, final: false, state: .running, progress: progress, problem: nil,
      createdAt: 0, endedAt: nil)
  }

  @Test("percent never goes back, and is 100 only at the end")
  func percent() {
    var memory = ProgressMemory()
    var most = 0.0
    func percent(_ done: UInt64, _ used: UInt64, _ now: Double) -> Double? {
      let values = memory.take(sync(done, of: used), now: now) { _, new in
        most = max(most, new)
        return most
      }
      guard case .number(let value) = values["percent"] else { return nil }
      return value
    }
    #expect(percent(500, 1000, 0) == 50)
    #expect(percent(500, 2000, 1) == 50)
    #expect(percent(99_999, 100_000, 2) == 99.9)
    #expect(percent(100_000, 100_000, 3) == 100)
  }

  @Test("standing still is told after a minute of copying, and taken back when it goes on")
  func standstill() {
    var memory = ProgressMemory()
    func stalled(_ done: UInt64, _ now: Double, _ phase: String = "copying") -> Bool {
      memory.take(sync(done, of: 1000, phase: phase), now: now) { _, new in new }["stalled"] != nil
    }
    #expect(!stalled(10, 0))
    #expect(!stalled(10, 59))
    #expect(stalled(10, 60))
    #expect(!stalled(10, 61, "sealing"))
    #expect(!stalled(11, 62))
  }

  @Test("topics are named by paths, and nothing else is one")
  func topics() {
    #expect(LiveTopic("sources") == .sources)
    #expect(LiveTopic("migration-mig-1") == .migration("mig-1"))
    for strange in ["", "migration-A", "migration-../x", "sources/", "other"] { #expect(LiveTopic(strange) == nil) }
  }
}
