import Testing
import Wire

@testable import Source

@Suite struct SyncMeterTests {
  /// Carries `rate` bytes a second for ten seconds, with a take of `written` bytes a second at each end.
  private func meter(rate: UInt64, written: UInt64?) -> SyncMeter {
    let (meter, start) = (SyncMeter(), ContinuousClock.now)
    meter.taken(0, now: start)
    for tenth in 0...100 { meter.carried(rate / 10, now: start + .milliseconds(100 * tenth)) }
    if let written { meter.taken(written * 10, now: start + .seconds(10)) }
    return meter
  }

  @Test func `before the second round the forecast is wide, then it counts what is written meanwhile`() throws {
    let first = try #require(meter(rate: 10_000_000, written: nil).forecast(100_000_000))
    #expect(abs(first.lowSeconds - 10) < 0.1)
    #expect(abs((first.highSeconds ?? 0) - 20) < 0.2)
    let second = try #require(meter(rate: 10_000_000, written: 5_000_000).forecast(100_000_000))
    #expect(abs((second.highSeconds ?? 0) - 25) < 0.3)
    #expect(SyncMeter().forecast(1) == nil)
  }

  @Test func `a source that writes as fast as it is sent does not converge, and the bottleneck is named`() throws {
    let meter = meter(rate: 10_000_000, written: 12_300_000)
    let forecast = try #require(meter.forecast(100_000_000))
    #expect(forecast.highSeconds == nil)
    meter.add(.seconds(1), to: .read)
    meter.add(.seconds(5), to: .target)
    meter.add(.seconds(3), to: .link)
    let failure = meter.failure(rounds: 7, instantBytes: 32 << 20)
    #expect(failure.code == "not_converging")
    for part in ["7 rounds", "writes 12.3 MB/s", "10.0 MB/s are sent", "32 MiB", "writing at the gateway", "quieter"] {
      #expect(failure.message.contains(part), "\(failure.message)")
    }
  }
}
