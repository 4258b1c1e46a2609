import Foundation
import Source
import Synchronization
import Testing
import Wire

/// Once its seal was requested a final sync ends sealed and off, or retired and thawed, and in no third way.
@Suite(.serialized, .timeLimit(.minutes(5))) struct FinalSyncTests {
  /// A final sync whose gateway dies at the very moment when the seal is to be requested.
  private func cutOff(
    _ bench: SyncBench, _ body: @escaping @Sendable (TrackedFile, SyncRunner) async throws -> Void
  ) async throws -> (report: AgentReport, source: TrackedFile) {
    try SyncTests.fill(bench)
    let isFirst = Mutex(true)
    let source = try TrackedFile(
      path: bench.source,
      onCommit: {
        let kills = isFirst.withLock { first in
          defer { first = false }
          return first
        }
        if kills { bench.killGateway() }
      })
    let runner = bench.runner()
    async let report = runner.run(
      try bench.command(.full, session: "s1", final: true), id: "c", source: source, interval: .milliseconds(50),
      report: { _ in })
    while !source.isCommitted { try await Task.sleep(for: .milliseconds(20)) }
    try await body(source, runner)
    return (try await report, source)
  }

  @Test func `it goes on asking its gateway whatever is said, until that seals`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      let port = bench.port
      let (report, source) = try await cutOff(bench) { source, runner in
        #expect(runner.cancel(command: "c")?.code == "sealing")
        try await Task.sleep(for: .seconds(2))
        #expect(source.isStill && !source.isOff)
        try bench.startGateway(port: port)
      }
      #expect(report.state == .done, "\(report) \(bench.log)")
      #expect(source.isOff && source.isStill)
      #expect(try await bench.conclude("s1", retire: true).receipt == report.receipt)
      #expect(try bench.isEqual())
    }
  }

  @Test func `a session that its gateway has retired is thawed, and can never be sealed`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      let port = bench.port
      let (report, source) = try await cutOff(bench) { source, _ in
        try bench.startGateway(port: port)
        // The agent may be quicker with its seal; then the gateway says so, once that has ended.
        while try await bench.conclude("s1", retire: true).state == .undecided {
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      let answer = try await bench.conclude("s1", retire: false)
      switch answer.state {
      case .sealed: #expect(source.isOff && report.state == .done)
      case .retired: #expect(!source.isStill && report.failure?.code == "session_retired" && report.sourceRuns == true)
      case .undecided: Issue.record("the gateway has not decided")
      }
    }
  }

  @Test func `an agent that cannot reach its gateway is told by the platform`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      let (report, source) = try await cutOff(bench) { _, runner in
        runner.conclude(command: "c", .retired)
      }
      #expect(report.failure?.code == "session_retired")
      #expect(report.sourceRuns == true)
      #expect(!source.isStill && !source.isOff)
    }
  }

  @Test func `a later life of the agent is told as well, before it has asked anyone`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      try SyncTests.fill(bench)
      bench.killGateway()
      let source = try TrackedFile(path: bench.source)
      _ = try source.freeze(hold: true)
      let hushed = Mutex<[Bool]>([])
      let runner = bench.runner()
      runner.conclude(command: "c", .retired)
      let report = await runner.run(
        try bench.command(.delta, session: "s1", final: true), id: "c", source: source, hasCommitted: true,
        hush: { on in hushed.withLock { $0.append(on) } }, report: { _ in })
      #expect(report.failure?.code == "session_retired")
      #expect(!source.isStill)
      #expect(hushed.withLock { $0 } == [true, false])
    }
  }
}
