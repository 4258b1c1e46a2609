import Foundation
import Source
import Synchronization
import Testing
import Wire

/// Seconds of a further cut, with the agent's own patience: `GODWIT_CUT_SECONDS=600 swift test --filter NetworkFaultTests`.
private let longCut = ProcessInfo.processInfo.environment["GODWIT_CUT_SECONDS"].flatMap(Int.init).map { [$0] } ?? []

/// The line between agent and gateway fails in the middle of a whole sync. Nobody does anything about it: the same sync
/// goes on from what was settled, and ends with an equal replica.
@Suite(.timeLimit(.minutes(15)), .serialized) struct NetworkFaultTests {
  private static let megabyte: UInt64 = 1 << 20
  /// Frames under way when a line is cut: they are sent again, and nothing else is.
  private static let inFlight = 4 * 2 * megabyte

  /// A sync of noise, with what it had put on the wire when it ended.
  private func sync(
    _ bench: SyncBench, session: String = "s1", port: Int? = nil, link: UInt64? = nil,
    patience: SyncPatience = SyncPatience(), after threshold: UInt64 = .max,
    _ fault: @escaping @Sendable () async throws -> Void = {}
  ) async throws -> AgentReport {
    let begun = Mutex(false)
    let source = try TrackedFile(path: bench.source)
    let command = try bench.command(.full, session: session, limits: .init(link: link), port: port)
    let runner = bench.runner(patience: patience)
    let report = await runner.run(
      command, id: "c", source: source, interval: .milliseconds(20)
    ) { report in
      guard report.progress?.sentBytes ?? 0 > threshold else { return }
      let isFirst = begun.withLock { begun in
        defer { begun = true }
        return !begun
      }
      guard isFirst else { return }
      do { try await fault() } catch {
        Issue.record(error)
        _ = runner.cancel(command: "c")
      }
    }
    #expect(threshold == .max || begun.withLock { $0 }, "the fault was really met")
    return report
  }

  private func noise(_ bench: SyncBench) throws {
    try run(
      "dd", "if=/dev/urandom", "of=\(bench.source)", "bs=64K", "count=\(bench.size >> 16)", "conv=notrunc",
      "status=none")
  }

  private func patience(silence seconds: Int) -> SyncPatience {
    var patience = SyncPatience()
    patience.silence = .seconds(seconds)
    return patience
  }

  /// A gateway inside a network of its own.
  private func withNetwork(size: UInt64, _ body: (PrivateNetwork, SyncBench) async throws -> Void) async throws {
    try await PrivateNetwork.with { network in
      let place = SyncBench.Place(address: network.address, prefix: network.prefix)
      try await SyncBench.with(size: size, at: place) { bench in
        try noise(bench)
        try await body(network, bench)
      }
    }
  }

  private func expectWhole(_ report: AgentReport, _ bench: SyncBench, sent: UInt64, atMost: UInt64) throws {
    #expect(report.state == .done, "\(report) \(bench.log)")
    #expect(sent >= bench.size)
    #expect(sent <= atMost, "\(sent) bytes were sent of a disk of \(bench.size)")
    #expect(try bench.isEqual())
  }

  @Test(arguments: [1, 3] + longCut)
  func `A line that is cut and refuses connections for some seconds is gone on with`(seconds: Int) async throws {
    try await SyncBench.with(size: 40 * Self.megabyte) { bench in
      try noise(bench)
      try await Relay.with(to: bench.port) { relay in
        let began = Mutex(ContinuousClock.now)
        let report = try await sync(bench, port: relay.port, link: 20 << 20, after: 12 * Self.megabyte) {
          began.withLock { $0 = .now }
          try relay.cut()
          try await Task.sleep(for: .seconds(seconds))
          try relay.mend()
        }
        let lasted = ContinuousClock.now - began.withLock { $0 }
        try expectWhole(
          report, bench, sent: try relay.counts().sent, atMost: bench.size * 105 / 100 + Self.inFlight)
        // It is noticed in as long again as it was cut; what is left to send takes less than two seconds.
        #expect(seconds == 1 || lasted < .seconds(4 * seconds), "\(lasted) from the cut to the end")
        if seconds > 60 { print("a cut of \(seconds) s: \(lasted) from the cut to the end") }
      }
    }
  }

  /// The longer one outlasts the agent's patience with a connection, as more than a minute does by default.
  @Test(arguments: [1, 4] + longCut)
  func `A line that swallows every packet for some seconds is gone on with`(seconds: Int) async throws {
    try await withNetwork(size: 40 * Self.megabyte) { network, bench in
      let before = try network.sent()
      let report = try await sync(
        bench, link: 20 << 20, patience: seconds < 60 ? patience(silence: 2) : SyncPatience(), after: 12 * Self.megabyte
      ) {
        try network.lose(1)
        try await Task.sleep(for: .seconds(seconds))
        try network.loseNothing()
      }
      try expectWhole(
        report, bench, sent: try network.sent() - before, atMost: bench.size * 115 / 100 + Self.inFlight)
    }
  }

  /// New connections come through at once; what is sent on the old ones is swallowed for good.
  @Test func `Connections that a firewall has forgotten are given up for new ones`() async throws {
    try await withNetwork(size: 40 * Self.megabyte) { network, bench in
      let (before, start) = (try network.sent(), ContinuousClock.now)
      let patience = patience(silence: 2)
      let report = try await sync(bench, link: 20 << 20, patience: patience, after: 12 * Self.megabyte) {
        let forgotten = try network.forgetConnections()
        #expect(forgotten > 0)
      }
      try expectWhole(
        report, bench, sent: try network.sent() - before, atMost: bench.size * 115 / 100 + 2 * Self.inFlight)
      #expect(.now - start < patience.silence * 10, "nobody waited for the time-out of the frames themselves")
    }
  }

  @Test func `A line that is gone for longer than a sync waits ends it, and the next sync goes on`() async throws {
    try await SyncBench.with(size: 64 * Self.megabyte) { bench in
      try noise(bench)
      try await Relay.with(to: bench.port) { relay in
        var patience = SyncPatience()
        patience.outage = .seconds(1)
        let cut = try await sync(
          bench, port: relay.port, link: 40 << 20, patience: patience, after: 48 * Self.megabyte
        ) { try relay.cut() }
        #expect(cut.failure?.code == "gateway_unreachable", "\(cut)")
        #expect(cut.failure?.message.contains("cannot connect") == true, "\(cut)")
        let progress = try #require(cut.progress)
        #expect(progress.doneBytes >= 32 * Self.megabyte, "\(progress)")
        try relay.mend()
        let before = try relay.counts().sent
        let next = try await sync(bench, session: "s2", port: relay.port)
        #expect(next.state == .done, "\(next) \(bench.log)")
        let sent = try relay.counts().sent - before
        #expect(
          sent < (bench.size - progress.doneBytes) * 105 / 100, "\(sent) bytes, \(progress.doneBytes) were settled")
        #expect(try bench.isEqual())
      }
    }
  }

  @Test func `A line that loses three packets in a hundred costs time, not bytes`() async throws {
    try await withNetwork(size: 24 * Self.megabyte) { network, bench in
      try network.lose(0.03)
      let before = try network.sent()
      let report = try await sync(bench)
      try expectWhole(report, bench, sent: try network.sent() - before, atMost: bench.size * 125 / 100)
      #expect(try network.lost() > 200, "packets were really lost")
    }
  }

  @Test func `A line as long as 200 ms in each direction costs time, not bytes`() async throws {
    try await SyncBench.with(size: 24 * Self.megabyte) { bench in
      try noise(bench)
      try await Relay.with(to: bench.port, delay: 200) { relay in
        let report = try await sync(bench, port: relay.port)
        try expectWhole(report, bench, sent: try relay.counts().sent, atMost: bench.size * 105 / 100)
      }
    }
  }

  /// On both lines a frame takes longer than a connection may be silent: on the first alone, on the second beside the
  /// others that are under way.
  @Test(arguments: zip([1, 16], [320, 8192] as [UInt64]))
  func `A narrow line gets every frame through at the first attempt`(megabits: Int, kilobytes: UInt64) async throws {
    try await withNetwork(size: kilobytes << 10) { network, bench in
      try network.narrow(to: megabits * 1_000_000)
      let (before, start) = (try network.sent(), ContinuousClock.now)
      let report = try await sync(bench, patience: patience(silence: 2))
      try expectWhole(report, bench, sent: try network.sent() - before, atMost: bench.size * 120 / 100)
      let fastest = Double(bench.size * 8) / Double(megabits * 1_000_000)
      #expect((.now - start) / .seconds(1) > fastest * 0.9, "the line was really narrow")
      #expect(fastest > 2, "a frame really took that long")
    }
  }
}
