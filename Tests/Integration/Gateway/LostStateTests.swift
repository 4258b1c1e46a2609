import Foundation
import Source
import Synchronization
import Testing
import Wire

/// A gateway that lost what it knew, or another one that was given the same volumes, reads them and is compared: nothing
/// is trusted, and nothing that is there is sent again.
@Suite(.serialized, .timeLimit(.minutes(3))) struct LostStateTests {
  private static let size: UInt64 = 8 << 20
  /// What may travel where next to nothing differs: 3 % of the disk.
  private static let little = size * 3 / 100

  enum Loss: CaseIterable, CustomTestStringConvertible {
    /// The whole folder; only the leaf maps; another gateway at another address, with a folder of its own.
    case state, maps, gateway
    var testDescription: String { "\(self)" }
  }

  /// Ends the gateway, takes away what it knew, and starts one.
  private static func lose(_ loss: Loss, _ bench: SyncBench) throws {
    let port = bench.port
    bench.killGateway()
    let state = bench.folder + "/state"
    switch loss {
    case .state, .gateway: try FileManager.default.removeItem(atPath: state)
    case .maps:
      for volume in try FileManager.default.contentsOfDirectory(atPath: state + "/volumes") {
        try FileManager.default.removeItem(atPath: "\(state)/volumes/\(volume)/map")
      }
    }
    try bench.startGateway(port: loss == .gateway ? 0 : port)
  }

  private func run(
    _ bench: SyncBench, _ source: TrackedFile, _ command: SyncCommand, _ runner: SyncRunner,
    report: @escaping @Sendable (AgentReport) async -> Void = { _ in }
  ) async -> AgentReport {
    await runner.run(command, id: "c", source: source, interval: .milliseconds(20), report: report)
  }

  @Test(arguments: Loss.allCases)
  func `What was lost between two syncs is found out on the volume`(loss: Loss) async throws {
    try await SyncBench.with(size: Self.size) { bench in
      try SyncTests.fill(bench)
      let runner = bench.runner()
      let source = try TrackedFile(path: bench.source)
      let full = await run(bench, source, try bench.command(.full, session: "s1"), runner)
      #expect(full.state == .done, "\(full) \(bench.log)")
      try source.write([UInt8](repeating: 7, count: 5000), at: 4_000_001)
      try Self.lose(loss, bench)
      // Nobody tracked this: only a comparison finds it.
      try Self.damage(bench)
      let next = await run(bench, source, try bench.command(.delta, session: "s2"), runner)
      #expect(next.state == .done, "\(next) \(bench.log)")
      #expect(next.progress?.mode == .compare)
      #expect(next.progress?.voided?.contains("put back") == true)
      #expect(bench.log.contains("is not known; they are read"))
      #expect(next.progress?.wireBytes ?? .max < Self.little, "\(String(describing: next.progress))")
      #expect(try bench.isEqual())
      let last = await run(bench, source, try bench.command(.delta, session: "s3"), runner)
      #expect(last.state == .done && last.progress?.mode == .delta && last.progress?.sentBytes == 0, "\(last)")
    }
  }

  /// Flips a byte of the replica.
  private static func damage(_ bench: SyncBench) throws {
    let file = try FileHandle(forUpdating: URL(filePath: bench.replica))
    try file.seek(toOffset: 4 << 20)
    let byte = try file.read(upToCount: 1)?.first ?? 0
    try file.seek(toOffset: 4 << 20)
    try file.write(contentsOf: [byte ^ 1])
    try file.close()
  }

  @Test(arguments: Loss.allCases)
  func `What is lost in the middle of a delta ends it, and the next sync compares`(loss: Loss) async throws {
    try await SyncBench.with(size: Self.size) { bench in
      try SyncTests.fill(bench)
      let runner = bench.runner()
      let isArmed = Mutex(false)
      let source = try TrackedFile(
        path: bench.source,
        onTake: { _, _ in
          let loses = isArmed.withLock { isArmed in
            defer { isArmed = false }
            return isArmed
          }
          guard loses else { return }
          // The command names the gateway: in this sync it can only come back where it was.
          do { try Self.lose(loss == .gateway ? .state : loss, bench) } catch { Issue.record(error) }
        })
      let full = await run(bench, source, try bench.command(.full, session: "s1"), runner)
      #expect(full.state == .done, "\(full) \(bench.log)")
      try source.write([UInt8](repeating: 7, count: 5000), at: 4_000_001)
      isArmed.withLock { $0 = true }
      let cut = await run(bench, source, try bench.command(.delta, session: "s2"), runner)
      #expect(cut.failure?.code == "replica_put_back", "\(cut) \(bench.log)")
      if loss == .gateway { try Self.lose(.gateway, bench) }
      let next = await run(bench, source, try bench.command(.delta, session: "s3"), runner)
      #expect(next.state == .done && next.progress?.mode == .compare, "\(next) \(bench.log)")
      #expect(next.progress?.wireBytes ?? .max < Self.little, "\(String(describing: next.progress))")
      #expect(try bench.isEqual())
    }
  }

  @Test func `A first copy whose gateway loses its state half way goes on from what is on the volume`() async throws {
    let size: UInt64 = 64 << 20
    try await SyncBench.with(size: size) { bench in
      try SyncTests.fill(bench)
      let (runner, source) = (bench.runner(), try TrackedFile(path: bench.source))
      let isLost = Mutex(false)
      let limits = SyncCommand.Limits(link: 24 << 20)
      let cut = await run(bench, source, try bench.command(.full, session: "s1", limits: limits), runner) { report in
        guard report.progress?.sentBytes ?? 0 > size / 2 else { return }
        let isFirst = isLost.withLock { isLost in
          defer { isLost = true }
          return !isLost
        }
        if isFirst { do { try Self.lose(.state, bench) } catch { Issue.record(error) } }
      }
      #expect(cut.failure?.code == "replica_put_back", "\(cut) \(bench.log)")
      let rest = await run(bench, source, try bench.command(.full, session: "s2"), runner)
      #expect(rest.state == .done, "\(rest) \(bench.log)")
      #expect(try bench.isEqual())
      let sent = (cut.progress?.sentBytes ?? 0) + (rest.progress?.sentBytes ?? .max / 2)
      // What was in flight when it was killed, no more.
      #expect(sent < size + size / 4, "\(sent)")
    }
  }

  @Test func `A switch that is asked for again after the source runs again does not happen`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      try SyncTests.fill(bench)
      let (runner, source) = (bench.runner(), try TrackedFile(path: bench.source))
      let old = try bench.command(.full, session: "s1", final: true)
      let switched = await run(bench, source, old, runner)
      #expect(switched.state == .done && source.isOff, "\(switched) \(bench.log)")
      // Rolled back: the source runs. A service whose records are of before gives the old command again.
      for isFollowed in [false, true] {
        let again = try TrackedFile(path: bench.source)
        if isFollowed {
          let compare = await run(bench, again, try bench.command(.compare, session: "s2"), runner)
          #expect(compare.state == .done, "\(compare)")
        }
        let replayed = await run(bench, again, old, bench.runner())
        #expect(replayed.state == .failed && !again.isOff, "\(replayed)")
        // And a new one, which such a service numbers like the old one.
        let renamed = try bench.command(.delta, session: "t1", final: true)
        let other = await run(bench, again, renamed, bench.runner())
        #expect(other.failure?.code == "session_retired" && !again.isOff, "\(other)")
      }
    }
  }
}
