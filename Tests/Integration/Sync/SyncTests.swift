import Blocks
import Foundation
import Source
import Synchronization
import Testing
import Volumes
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct SyncTests {
  /// Some of it random, some of it repetitive, most of it zeros.
  static func fill(_ bench: SyncBench, seed: UInt8 = 1) throws {
    let file = try RawFile(path: bench.source)
    let random = try FileHandle(forReadingFrom: URL(filePath: "/dev/urandom"))
    for megabyte in stride(from: UInt64(0), to: bench.size, by: 4 << 20) {
      let noise = try [UInt8](#require(try random.read(upToCount: 1 << 20)))
      try file.write(noise.span.bytes, at: megabyte)
      let text = [UInt8](repeating: seed, count: 300_000)
      try file.write(text.span.bytes, at: megabyte + (2 << 20) + 4096 * 3)
    }
    try file.flush()
  }

  func run(
    _ bench: SyncBench, _ source: TrackedFile, _ command: SyncCommand, runner: SyncRunner? = nil,
    report: @escaping @Sendable (AgentReport) async -> Void = { _ in }
  ) async -> AgentReport {
    await (runner ?? bench.runner()).run(
      command, id: "c", source: source, interval: .milliseconds(20), report: report)
  }

  @Test func `a full sync, a delta, a delta of nothing and a compare leave the replica equal`() async throws {
    try await SyncBench.with(size: 96 << 20) { bench in
      try Self.fill(bench)
      let source = try TrackedFile(path: bench.source)
      let full = await run(bench, source, try bench.command(.full, session: "s1"))
      #expect(full.state == .done, "\(full) \(bench.log)")
      #expect(try bench.isEqual())
      let receipt = try #require(full.receipt)
      #expect(receipt.disks.first?.volume == "volume")
      #expect(source.isEstablished)

      try source.write([UInt8](repeating: 7, count: 5000), at: 40_000_001)
      try source.write([UInt8](repeating: 0, count: 1 << 20), at: 0)
      try source.write([9], at: bench.size - 1)
      let delta = await run(bench, source, try bench.command(.delta, session: "s2"))
      #expect(delta.state == .done, "\(delta) \(bench.log)")
      #expect(delta.progress?.mode == .delta)
      #expect((delta.progress?.sentBytes ?? 0) < 3 << 20)
      #expect(try bench.isEqual())

      let nothing = await run(bench, source, try bench.command(.delta, session: "s3"))
      #expect(nothing.state == .done, "\(nothing)")
      #expect(nothing.progress?.sentBytes == 0)

      let compare = await run(bench, try TrackedFile(path: bench.source), try bench.command(.delta, session: "s4"))
      #expect(compare.state == .done, "\(compare)")
      #expect(compare.progress?.mode == .compare)
      #expect(compare.progress?.voided != nil)
      #expect(compare.progress?.sentBytes == 0)
      #expect(try bench.isEqual())
    }
  }

  @Test func `what is written during the sync is in it`() async throws {
    try await SyncBench.with(size: 64 << 20) { bench in
      try Self.fill(bench)
      let source = try TrackedFile(path: bench.source) { source, number in
        guard number <= 4 else { return }
        for turn in 0..<50 {
          try? source.write(
            [UInt8](repeating: UInt8(number), count: 4096), at: UInt64((turn * 7919 + number) % 16_000) * 4096)
        }
      }
      let report = await run(bench, source, try bench.command(.full, session: "s1"))
      #expect(report.state == .done, "\(report) \(bench.log)")
      #expect(source.freezes >= 1)
      #expect(report.progress?.freezeMilliseconds != nil)
      // What was written after the instant is a delta's business.
      let delta = await run(bench, source, try bench.command(.delta, session: "s2"))
      #expect(delta.state == .done, "\(delta)")
      #expect(try bench.isEqual())
    }
  }

  @Test func `a final sync holds still, seals, and powers off after it has reported`() async throws {
    try await SyncBench.with(size: 16 << 20) { bench in
      try Self.fill(bench)
      let source = try TrackedFile(path: bench.source)
      let wasOff = Mutex<[Bool]>([])
      let report = await run(bench, source, try bench.command(.full, session: "s1", final: true)) { report in
        if report.state == .done { wasOff.withLock { $0.append(source.isOff) } }
      }
      #expect(report.state == .done, "\(report) \(bench.log)")
      #expect(wasOff.withLock { $0 } == [false])
      #expect(source.isOff)
      #expect(try bench.isEqual())
    }
  }

  @Test func `a gateway that is killed in the middle is gone on with`() async throws {
    try await SyncBench.with(size: 256 << 20) { bench in
      try Self.fill(bench)
      let source = try TrackedFile(path: bench.source)
      let port = bench.port
      let kills = Mutex(0)
      let report = await run(
        bench, source, try bench.command(.full, session: "s1", limits: .init(link: 60 << 20))
      ) { report in
        guard let progress = report.progress, progress.sentBytes > 20 << 20 else { return }
        let isFirst = kills.withLock { kills in
          kills += 1
          return kills == 1
        }
        guard isFirst else { return }
        bench.killGateway()
        try? bench.startGateway(port: port)
      }
      #expect(kills.withLock { $0 } >= 1)
      #expect(report.state == .done, "\(report) \(bench.log)")
      #expect(try bench.isEqual())
    }
  }

  @Test func `an agent that lost its memory in the middle sends little twice`() async throws {
    try await SyncBench.with(size: 256 << 20) { bench in
      try Self.fill(bench)
      let runner = bench.runner()
      let first = try TrackedFile(path: bench.source)
      let cut = await run(
        bench, first, try bench.command(.full, session: "s1", limits: .init(link: 60 << 20)), runner: runner
      ) { report in
        if report.progress?.sentBytes ?? 0 > 120 << 20 { _ = runner.cancel(command: "c") }
      }
      #expect(cut.failure?.code == "cancelled")
      let sent = cut.progress?.sentBytes ?? 0
      let rest = await run(bench, try TrackedFile(path: bench.source), try bench.command(.full, session: "s1"))
      #expect(rest.state == .done, "\(rest) \(bench.log)")
      #expect(try bench.isEqual())
      // Zeros count as sent; what was sent twice lies between two flushes or was in flight.
      let all = Int(bench.size)
      #expect(Int(sent + (rest.progress?.sentBytes ?? 0)) < all + (64 << 20))
    }
  }

  @Test(arguments: [false, true])
  func `a gateway that was put back to an earlier state is compared, not trusted, also by the agent's next process`(
    restarts: Bool
  ) async throws {
    try await SyncBench.with(size: 16 << 20) { bench in
      try Self.fill(bench)
      let (memory, port) = (bench.folder + "/memory.json", bench.port)
      var runner = bench.runner(memory: memory)
      let source = try TrackedFile(path: bench.source)
      let full = await run(bench, source, try bench.command(.full, session: "s1"), runner: runner)
      #expect(full.state == .done, "\(full) \(bench.log)")
      bench.killGateway()
      try bench.keepGateway()
      try bench.startGateway(port: port)
      try source.write([UInt8](repeating: 7, count: 5000), at: 4_000_001)
      let delta = await run(bench, source, try bench.command(.delta, session: "s2"), runner: runner)
      #expect(delta.progress?.mode == .delta && delta.state == .done, "\(delta) \(bench.log)")
      bench.killGateway()
      try bench.putGatewayBack()
      try bench.startGateway(port: port)
      #expect(try !bench.isEqual())
      // Its marks outlive it, as pinned ones do.
      if restarts { runner = bench.runner(memory: memory) }
      let next = await run(bench, source, try bench.command(.delta, session: "s3"), runner: runner)
      #expect(next.state == .done, "\(next) \(bench.log)")
      #expect(next.progress?.mode == .compare)
      #expect(next.progress?.voided?.contains("put back") == true)
      #expect(try bench.isEqual())
      if restarts { runner = bench.runner(memory: memory) }
      let last = await run(bench, source, try bench.command(.delta, session: "s4"), runner: runner)
      #expect(last.progress?.mode == .delta && last.state == .done, "\(last)")
    }
  }

  @Test func `a sync that ends before it has compared leaves that to the next one`() async throws {
    try await SyncBench.with(size: 16 << 20) { bench in
      try Self.fill(bench)
      let (runner, port) = (bench.runner(), bench.port)
      let source = try TrackedFile(path: bench.source)
      let full = await run(bench, source, try bench.command(.full, session: "s1"), runner: runner)
      #expect(full.state == .done, "\(full) \(bench.log)")
      bench.killGateway()
      try bench.keepGateway()
      try bench.startGateway(port: port)
      try source.write([UInt8](repeating: 7, count: 5000), at: 4_000_001)
      let delta = await run(bench, source, try bench.command(.delta, session: "s2"), runner: runner)
      #expect(delta.state == .done, "\(delta) \(bench.log)")
      bench.killGateway()
      try bench.putGatewayBack()
      try bench.startGateway(port: port)
      source.isUndescribable.withLock { $0 = true }
      let failed = await run(bench, source, try bench.command(.delta, session: "s3"), runner: runner)
      #expect(failed.failure?.code == "disk_missing")
      // A walk that dies right after its opening has compared nothing either.
      source.isUndescribable.withLock { $0 = true }
      let walk = await run(bench, source, try bench.command(.compare, session: "s4"), runner: runner)
      #expect(walk.failure?.code == "disk_missing")
      let next = await run(bench, source, try bench.command(.delta, session: "s5"), runner: runner)
      #expect(next.state == .done && next.progress?.mode == .compare, "\(next) \(bench.log)")
      #expect(next.progress?.voided?.contains("put back") == true)
      #expect(try bench.isEqual())
    }
  }

  @Test func `a gateway that is put back during a sync ends it, and the next one compares`() async throws {
    try await SyncBench.with(size: 16 << 20) { bench in
      try Self.fill(bench)
      let (runner, port) = (bench.runner(), bench.port)
      let isArmed = Mutex(false)
      let source = try TrackedFile(
        path: bench.source,
        onTake: { _, _ in
          let puts = isArmed.withLock { isArmed in
            defer { isArmed = false }
            return isArmed
          }
          guard puts else { return }
          bench.killGateway()
          do {
            try bench.putGatewayBack()
            try bench.startGateway(port: port)
          } catch { Issue.record(error) }
        })
      let full = await run(bench, source, try bench.command(.full, session: "s1"), runner: runner)
      #expect(full.state == .done, "\(full) \(bench.log)")
      bench.killGateway()
      try bench.keepGateway()
      try bench.startGateway(port: port)
      try source.write([UInt8](repeating: 7, count: 5000), at: 4_000_001)
      isArmed.withLock { $0 = true }
      let cut = await run(bench, source, try bench.command(.delta, session: "s2"), runner: runner)
      #expect(cut.failure?.code == "replica_put_back", "\(cut) \(bench.log)")
      let next = await run(bench, source, try bench.command(.delta, session: "s3"), runner: runner)
      #expect(next.state == .done && next.progress?.mode == .compare, "\(next) \(bench.log)")
      #expect(try bench.isEqual())
    }
  }
}
