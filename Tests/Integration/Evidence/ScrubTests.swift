import Blocks
import Foundation
import Replication
import Source
import Synchronization
import Testing
import Volumes
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct ScrubTests {
  private func run(
    _ bench: SyncBench, _ source: TrackedFile, _ mode: SyncCommand.Mode, _ session: String,
    scrub: ScrubWindow? = nil, runner: SyncRunner
  ) async throws -> AgentReport {
    await runner.run(
      try bench.command(mode, session: session, scrub: scrub), id: "c", source: source, interval: .milliseconds(20)
    ) { _ in }
  }

  private func fill(_ path: String, megabytes: Int) throws {
    let file = try RawFile(path: path)
    let random = try FileHandle(forReadingFrom: URL(filePath: "/dev/urandom"))
    for megabyte in 0..<megabytes {
      let noise = [UInt8](try random.read(upToCount: 1 << 20) ?? Data())
      try file.write(noise.span.bytes, at: UInt64(megabyte) << 20)
    }
    try file.flush()
  }

  /// Changes one bit behind everybody's back.
  private func flip(_ path: String, bit: UInt64) throws {
    let file = try RawFile(path: path)
    var byte: [UInt8] = [0]
    var span = byte.mutableSpan
    var bytes = span.mutableBytes
    try file.read(into: &bytes, at: bit / 8)
    try file.write([byte[0] ^ 1 << UInt8(bit % 8)].span.bytes, at: bit / 8)
  }

  @Test func `a flipped bit is found by the scrub of its window only, and mended before the point`() async throws {
    try await SyncBench.with(size: 8 << 20) { bench in
      try fill(bench.source, megabytes: 8)
      let (source, runner) = (try TrackedFile(path: bench.source), bench.runner())
      #expect(try await run(bench, source, .full, "s1", runner: runner).state == .done)
      try flip(bench.replica, bit: (5 << 20) * 8 + 3)
      // Without a scrub what was read back once is believed.
      let plain = try await run(bench, source, .delta, "s2", runner: runner)
      #expect(plain.state == .done && plain.progress?.scrub == nil)
      let beside = try await run(bench, source, .delta, "s3", scrub: .init(from: 0, to: 5 << 20), runner: runner)
      #expect(beside.progress?.scrub == .init(compared: 80, differing: 0, missed: 0))
      #expect(try !bench.isEqual())
      let found = try await run(
        bench, source, .delta, "s4", scrub: .init(from: 5 << 20, to: 100 << 20), runner: runner)
      #expect(found.state == .done, "\(found) \(bench.log)")
      #expect(found.progress?.mode == .delta)
      #expect(found.progress?.scrub == .init(compared: 48, differing: 1, missed: 0))
      #expect((found.progress?.sentBytes ?? 0) <= Leaf.size)
      #expect(try bench.isEqual())
    }
  }

  @Test func `of 1,000 bits flipped at random every one is found and mended`() async throws {
    try await SyncBench.with(size: 64 << 20) { bench in
      try fill(bench.source, megabytes: 64)
      let (source, runner) = (try TrackedFile(path: bench.source), bench.runner())
      #expect(try await run(bench, source, .full, "s1", runner: runner).state == .done)
      var bits: Set<UInt64> = []
      while bits.count < 1000 { bits.insert(.random(in: 0..<(64 << 23))) }
      for bit in bits { try flip(bench.replica, bit: bit) }
      let leaves = Set(bits.map { $0 / 8 / Leaf.size })
      let scrub = try await run(bench, source, .delta, "s2", scrub: .everything, runner: runner)
      #expect(scrub.state == .done, "\(scrub) \(bench.log)")
      #expect(scrub.progress?.scrub == .init(compared: 1024, differing: UInt64(leaves.count), missed: 0))
      #expect(try bench.isEqual())
    }
  }

  @Test func `a write that the tracker missed is found and sent; one that it saw meanwhile is no finding`() async throws
  {
    try await SyncBench.with(size: 8 << 20) { bench in
      try fill(bench.source, megabytes: 8)
      let reader = BusyReader(try RawFile(path: bench.source))
      let source = try TrackedFile(path: bench.source, reader: reader)
      let runner = bench.runner()
      #expect(try await run(bench, source, .full, "s1", runner: runner).state == .done)
      // Behind the tracker's back.
      try flip(bench.source, bit: (3 << 20) * 8)
      // Through the tracker, just before the leaf is read: the scrub sees what no take has named yet.
      reader.beforeRead { offset in try? source.write([UInt8.random(in: .min ... .max)], at: offset + 5) }
      let scrub = try await run(bench, source, .delta, "s2", scrub: .everything, runner: runner)
      #expect(scrub.state == .done, "\(scrub) \(bench.log)")
      #expect(scrub.progress?.scrub?.missed == 1)
      #expect(scrub.progress?.scrub?.differing == 0)
      #expect(reader.calls == 2, "nothing was written while it ran")
      #expect(try bench.isEqual())
    }
  }
}

/// Does something before its next two reads.
private final class BusyReader: BlockReader {
  private struct State {
    var body: (@Sendable (UInt64) -> Void)?
    var calls = 0
  }
  private let file: RawFile
  private let state = Mutex(State())

  init(_ file: RawFile) { self.file = file }

  var size: UInt64 { file.size }
  var alignment: Int { file.alignment }
  var calls: Int { state.withLock { $0.calls } }

  func beforeRead(_ body: @escaping @Sendable (UInt64) -> Void) { state.withLock { $0.body = body } }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    let body = state.withLock { state in
      guard state.body != nil, state.calls < 2 else { return nil as (@Sendable (UInt64) -> Void)? }
      state.calls += 1
      return state.body
    }
    body?(offset)
    try file.read(into: &bytes, at: offset)
  }
}
