import Blocks
import Foundation
import Glibc
import Source
import Synchronization
import Testing
import Volumes
import Wire

/// A source's budgets are kept by whole syncs of the agent's own driver, and without them the same sync is far faster.
@Suite(.serialized, .timeLimit(.minutes(4))) struct BudgetTests {
  private struct Run {
    var report: AgentReport
    var seconds: Double
    /// Of this process, which holds the agent; the gateway is another one.
    var cpu: Double
  }

  private func sync(
    _ bench: SyncBench, session: String, _ limits: SyncCommand.Limits, source: TrackedFile? = nil
  ) async throws -> Run {
    let source = try source ?? TrackedFile(path: bench.source)
    let (start, cpu) = (ContinuousClock.now, Self.cpuSeconds())
    let report = await bench.runner().run(
      try bench.command(.full, session: session, limits: limits), id: "c", source: source,
      interval: .milliseconds(100), report: { _ in })
    #expect(report.state == .done, "\(report) \(bench.log)")
    return Run(report: report, seconds: (.now - start) / .seconds(1), cpu: Self.cpuSeconds() - cpu)
  }

  /// Used by this process so far; the C library counts in millionths.
  private static func cpuSeconds() -> Double { Double(clock()) / 1e6 }

  private func noise(_ bench: SyncBench) throws {
    try run("dd", "if=/dev/urandom", "of=\(bench.source)", "bs=1M", "count=\(bench.size >> 20)", "status=none")
  }

  @Test func `The link's budget bounds the bytes on the wire, and nothing else does`() async throws {
    let rate = 3.0 * 1_048_576
    var free = 0.0
    for limit in [nil, UInt64(rate)] {
      try await SyncBench.with(size: 16 << 20) { bench in
        try noise(bench)
        let run = try await sync(bench, session: "s1", .init(link: limit))
        #expect(try bench.isEqual())
        let wire = Double(run.report.progress?.wireBytes ?? 0)
        #expect(wire >= Double(bench.size))
        guard limit != nil else { return free = run.seconds }
        // A quarter of a second's worth is saved up at the beginning; the last frame is waited for before it is sent.
        #expect(wire - rate / 4 - 2_097_152 <= rate * run.seconds * 1.05, "\(wire) bytes in \(run.seconds) s")
        #expect(run.seconds > 2 * free, "\(run.seconds) s with, \(free) s without")
      }
    }
  }

  @Test func `The read budget bounds what is read, also where nothing is sent`() async throws {
    let rate = 12.0 * 1_048_576
    var free = 0.0
    for limit in [nil, UInt64(rate)] {
      // Zeros: next to nothing on the wire.
      try await SyncBench.with(size: 64 << 20) { bench in
        let counted = CountingReader(try RawFile(path: bench.source))
        let source = try TrackedFile(path: bench.source, reader: counted)
        let run = try await sync(bench, session: "s1", .init(read: limit), source: source)
        #expect((run.report.progress?.wireBytes ?? 0) < 1 << 20)
        guard limit != nil else { return free = run.seconds }
        let bytes = Double(counted.bytes)
        #expect(bytes >= Double(bench.size))
        #expect(bytes - rate / 4 - 4 * 2_097_152 <= rate * run.seconds * 1.05, "\(bytes) bytes in \(run.seconds) s")
        #expect(run.seconds > 2 * free, "\(run.seconds) s with, \(free) s without")
      }
    }
  }

  @Test func `The processor's budget bounds its share`() async throws {
    // Long enough that beginning and end, which nothing bounds, do not decide it.
    let share = 0.03
    var free = 0.0
    for limit in [nil, share] {
      try await SyncBench.with(size: 192 << 20) { bench in
        try noise(bench)
        let run = try await sync(bench, session: "s1", .init(cpu: limit))
        #expect(try bench.isEqual())
        guard limit != nil else { return free = run.cpu / run.seconds }
        let used = (run.cpu - 0.25) / run.seconds
        #expect(used <= share * 1.5, "\(used) of a processor with, \(free) without")
        #expect(free > 2 * share, "without it the share is \(free)")
      }
    }
  }

  @Test func `While the disk is slow for its owner the agent reads less, and catches up afterwards`() async throws {
    try await SyncBench.with(size: 64 << 20) { bench in
      try SyncTests.fill(bench)
      try await SlowDisk.with(file: bench.source, folder: bench.folder, writeDelay: 30) { disk in
        var seconds: [Double] = []
        for limit in [nil, 5.0] as [Double?] {
          let reader = try BlockDevice(path: disk.path, readOnly: true)
          let source = try TrackedFile(path: bench.source, name: disk.name, reader: reader)
          // The owner's own writes, each as slow as the disk: the same bytes again.
          let owner = disk.rewriteLastBlock()
          let releases = Task {
            try? await Task.sleep(for: .seconds(10))
            owner.cancel()
          }
          // Both read no faster than this, so that there is time to see how the disk does.
          let limits = SyncCommand.Limits(read: 16 << 20, latency: limit)
          let run = try await sync(bench, session: "s\(seconds.count + 1)", limits, source: source)
          seconds.append(run.seconds)
          owner.cancel()
          releases.cancel()
          await owner.value
          #expect(try bench.isEqual())
          try bench.forgetReplica()
        }
        #expect(seconds[1] > 2 * seconds[0], "\(seconds[0]) s without, \(seconds[1]) s with")
        #expect(seconds[1] < 40, "it goes on when the disk is fast again")
      }
    }
  }
}

/// Counts the bytes that are read.
private final class CountingReader: BlockReader {
  private let base: RawFile
  private let count = Mutex<UInt64>(0)
  init(_ base: RawFile) { self.base = base }
  var bytes: UInt64 { count.withLock { $0 } }
  var size: UInt64 { base.size }
  var alignment: Int { base.alignment }
  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    let length = UInt64(bytes.byteCount)
    count.withLock { $0 += length }
    try base.read(into: &bytes, at: offset)
  }
}
