import Frames
import Testing
import Wire

@testable import Source

@Suite struct PaceTests {
  let start = ContinuousClock.now

  @Test func `a bucket lets the burst through and then the rate`() {
    var bucket = TokenBucket(rate: 100, burst: 50, now: start)
    #expect(bucket.spend(50, now: start) == .zero)
    #expect(bucket.spend(100, now: start) == .seconds(1))
    #expect(bucket.spend(0, now: start + .seconds(2)) == .zero)
    // Nothing beyond the burst is saved up.
    #expect(bucket.spend(250, now: start + .seconds(1000)) == .seconds(2))
  }

  @Test func `a bucket without a rate never waits`() {
    var bucket = TokenBucket(rate: nil, burst: 0, now: start)
    #expect(bucket.spend(1e18, now: start) == .zero)
  }

  @Test(.timeLimit(.minutes(1))) func `a budget in bytes a second is one`() async throws {
    let pace = Pace(limits: .init(link: 10_000_000, read: 10_000_000), disks: [])
    let begin = ContinuousClock.now
    // A quarter of a second's worth is there at once, the rest comes at the rate.
    for _ in 0..<6 { try await pace.beforeSend(1_000_000) }
    #expect(.now - begin >= .milliseconds(300))
  }

  @Test func `a slow disk is given room, and the room is taken back`() {
    var pause = Duration.zero
    for _ in 0..<20 { pause = Pace.pause(after: pause, worst: 30, limit: 10) }
    #expect(pause == .milliseconds(1280))
    for _ in 0..<20 { pause = Pace.pause(after: pause, worst: 5, limit: 10) }
    #expect(pause == .zero)
    #expect(Pace.pause(after: .zero, worst: nil, limit: 10) == .zero)
  }

  @Test func `latency is the time of writes by their number`() throws {
    var latency = DiskLatency(disk: "none")
    let line = "  100 0 800 50 200 0 1600 4000 0 100 4050 0 0 0 0 0 0\n"
    let first = try #require(DiskLatency.Counters(parsing: line))
    var second = first
    second.writes += 10
    second.writeTime += 250
    #expect(latency.advance(to: first) == nil)
    #expect(latency.advance(to: second) == 25)
    #expect(latency.advance(to: second) == nil)
    #expect(DiskLatency.Counters(parsing: "1 2 3") == nil)
  }

  @Test func `waiting times double, have jitter and an end`() {
    var generator = SystemRandomNumberGenerator()
    var backoff = Backoff(first: 1, longest: 8)
    for full in [1.0, 2, 4, 8, 8, 8] {
      let wait = backoff.next(&generator) / .seconds(1)
      #expect((full / 2...full).contains(wait))
    }
    backoff.reset()
    #expect(backoff.next() <= .seconds(1))
  }

  @Test func `compression is for slow links`() {
    let megabyte = 1_000_000.0
    #expect(CompressionChoice.gains(link: 12 * megabyte, compressor: 500 * megabyte, ratio: 0.5))
    #expect(CompressionChoice.gains(link: 120 * megabyte, compressor: 500 * megabyte, ratio: 0.3))
    #expect(!CompressionChoice.gains(link: 120 * megabyte, compressor: 500 * megabyte, ratio: 0.9))
    #expect(!CompressionChoice.gains(link: 1500 * megabyte, compressor: 500 * megabyte, ratio: 0.3))
  }

  @Test func `what is measured decides`() {
    let slow = CompressionChoice()
    let fast = CompressionChoice()
    for (choice, seconds) in [(slow, 1.0), (fast, 0.001)] {
      choice.compressed(raw: 2 << 20, encoded: 1 << 20, in: .milliseconds(4))
      for turn in 0..<8 {
        let begin = start + .seconds(10 * turn)
        choice.sendBegan(now: begin)
        choice.sendEnded(bytes: 2 << 20, now: begin + .seconds(seconds))
      }
    }
    #expect(slow.next() == .zstd(level: 1))
    #expect(fast.next() == .none)
  }
}
