import Client
import Testing
import Wire

@Suite struct ProgressTests {
  private func progress(used: UInt64, done: UInt64, dirty: UInt64 = 0) -> SyncProgress {
    SyncProgress(
      phase: "copying", mode: .full, usedBytes: used, doneBytes: done, wireBytes: 0, sentBytes: 0, dirtyBytes: dirty)
  }

  @Test("Percent is of used bytes, and 100 only when all of them are settled")
  func percent() {
    #expect(ProgressEstimate.percent(progress(used: 1000, done: 999)) == 99)
    #expect(ProgressEstimate.percent(progress(used: 1000, done: 1000)) == 100)
    #expect(ProgressEstimate.percent(progress(used: 1000, done: 5000)) == 100)
    #expect(ProgressEstimate.percent(progress(used: 0, done: 0)) == 0)
  }

  @Test("A steady copy gives its rate, and the time left counts what waits")
  func steady() throws {
    var estimate = ProgressEstimate()
    for second in 0...30 {
      estimate.add(progress(used: 100_000, done: UInt64(second) * 1000), now: Double(second))
    }
    #expect(abs(try #require(estimate.speed) - 1000) < 1)
    let left = try #require(estimate.remaining(progress(used: 100_000, done: 30_000, dirty: 5000)))
    #expect(abs(left - 75) < 1)
  }

  @Test("No time is promised before one hundredth is done")
  func noGuess() {
    var estimate = ProgressEstimate()
    estimate.add(progress(used: 1_000_000, done: 0), now: 0)
    estimate.add(progress(used: 1_000_000, done: 9000), now: 1)
    #expect(estimate.remaining(progress(used: 1_000_000, done: 9000)) == nil)
  }

  @Test(
    "Bytes and durations are written for people",
    arguments: [(999.0, "999 B"), (61_240_000, "61.2 MB"), (2e12, "2.0 TB")])
  func bytes(_ pair: (Double, String)) { #expect(ProgressLine.bytes(pair.0) == pair.1) }

  @Test("Control characters in names never reach the terminal")
  func hostileNames() {
    var table = TextTable(["NAME"])
    table.add(["\u{1B}[2Jevil\nrow"])
    #expect(table.text == "NAME\n?[2Jevil?row")
  }
}
