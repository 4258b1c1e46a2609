import Blocks
import Foundation
import Gateway
import NIOPosix
import ServiceKit
import Source
import Synchronization
import Testing
import Transport
import Volumes
import Wire

/// One source asks for all that a gateway can do; the others sync as if it were one of them.
///
/// What is shared is a store that takes its time for each write, as a busy array does: the threads that wait for it are
/// what a flood would use up. Neither the network nor the processor is short, as they are the test's own, too.
@Suite(.timeLimit(.minutes(2)), .serialized) struct GatewayFairnessTests {
  private static let size: UInt64 = 32 << 20
  private static let requests = 128
  private let lab: GatewayLab

  init() throws { lab = try GatewayLab() }

  @Test func `While one source floods the gateway the others sync at like pace`() async throws {
    let pool = NIOThreadPool(numberOfThreads: 8)
    pool.start()
    let pause = Pause(milliseconds: 300)
    let opener: VolumeOpenerForTest = { UnhurriedVolume(try RawFile(path: $0.location), pause) }
    let flooded = try lab.volume("flooded", size: 64 << 20)
    try await lab.withGateway(open: opener) { gateway in
      // Two that are equally modest: beside each other alone, then beside the flood as well.
      let alone = try await syncs(gateway, pool, round: 0)
      let (beside, flood) = try await gateway.withSource(
        session: "s9", disks: [flooded], migration: "flood", connections: Self.requests
      ) { source in
        try await source.open()
        let flood = Flood(source)
        return try await flood.whileRunning(requests: Self.requests) {
          defer { pause.end() }
          for _ in 0..<500 where flood.written < 8 { try await Task.sleep(for: .milliseconds(20)) }
          #expect(flood.underWay > Self.requests / 2, "all that it asks for is under way")
          let before = flood.written
          return (try await syncs(gateway, pool, round: 1), flood.written - before)
        }
      }
      print("two syncs took \(alone) s, beside a flood \(beside) s, in which it got \(flood) frames written")
      // Behind the flood's requests each write would take nine times as long; what a sync does besides takes its time
      // with and without.
      #expect(beside < 2.5 * alone, "\(beside) s beside the flood, \(alone) s without")
      #expect(flood > 0, "it is bounded, not shut out")
    }
    try await pool.shutdownGracefully()
  }

  /// Two full syncs of the agent's own driver at once; the seconds of the slower.
  private func syncs(_ gateway: RunningGateway, _ pool: NIOThreadPool, round: Int) async throws -> Double {
    try await withThrowingTaskGroup(of: Double.self) { group in
      for index in 0..<2 {
        let name = "m\(round)\(index)"
        let disk = try lab.volume(name, size: Self.size)
        try run("dd", "if=/dev/urandom", "of=\(lab.path(name)).source", "bs=1M", "count=32", "status=none")
        group.addTask { try await sync(gateway, pool, disk) }
      }
      return try await group.reduce(0, max)
    }
  }

  private func sync(
    _ gateway: RunningGateway, _ pool: NIOThreadPool, _ disk: SessionGrant.Disk
  ) async throws -> Double {
    let agent = AgentKey()
    let grant = lab.grant(session: "s1", disks: [disk], agent: agent, migration: disk.volume)
    let command = SyncCommand(
      migration: disk.volume, session: "s1", mode: .full, final: false, gateway: gateway.base,
      grant: try CompactJWS.sign(grant, with: lab.issuer), disks: ["file"])
    let runner = SyncRunner(
      connection: ConnectionSettings(authority: lab.authority.certificatePEM), key: agent,
      group: MultiThreadedEventLoopGroup.singleton, pool: pool)
    let source = try TrackedFile(path: disk.location + ".source")
    let start = ContinuousClock.now
    let report = await runner.run(command, id: "c", source: source) { _ in }
    #expect(report.state == .done, "\(report)")
    return (.now - start) / .seconds(1)
  }
}

/// A source with as many frames under way as it can have, all the time.
private final class Flood: Sendable {
  private struct Counts { var (written, underWay) = (0, 0) }

  private let source: TestSource
  private let counts = Mutex(Counts())

  init(_ source: TestSource) { self.source = source }

  var written: Int { counts.withLock { $0.written } }
  var underWay: Int { counts.withLock { $0.underWay } }

  func whileRunning<Value: Sendable>(requests: Int, _ body: () async throws -> Value) async throws -> Value {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<requests { group.addTask { try await self.ask(lane: UInt64(lane)) } }
      let value = try await body()
      group.cancelAll()
      while let result = await group.nextResult() {
        if case .failure(let error) = result, !(error is CancellationError), error as? TransportError != .cancelled {
          throw error
        }
      }
      return value
    }
  }

  /// Each lane has leaves of its own, so that none waits for another.
  private func ask(lane: UInt64) async throws {
    let frame = try TestFrame.data(TestFrame.leaves(1, seed: lane), at: lane * 8 * 65_536)
    while !Task.isCancelled {
      counts.withLock { $0.underWay += 1 }
      defer { counts.withLock { $0.underWay -= 1 } }
      try await source.put(frame, sequence: source.nextSequence())
      counts.withLock { $0.written += 1 }
    }
  }
}

/// What each write waits for.
private final class Pause: Sendable {
  private let microseconds: Mutex<UInt32>
  init(milliseconds: UInt32) { microseconds = Mutex(milliseconds * 1000) }
  func end() { microseconds.withLock { $0 = 0 } }
  func wait() { usleep(microseconds.withLock { $0 }) }
}

/// A volume whose every write takes its time, like one on a busy array.
private final class UnhurriedVolume: BlockWriter {
  private let base: RawFile
  private let pause: Pause
  init(_ base: RawFile, _ pause: Pause) { (self.base, self.pause) = (base, pause) }
  var size: UInt64 { base.size }
  var alignment: Int { base.alignment }
  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try base.read(into: &bytes, at: offset)
  }
  func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    pause.wait()
    try base.write(bytes, at: offset)
  }
  func zero(_ range: Range<UInt64>) throws(BlockError) { try base.zero(range) }
  func flush() throws(BlockError) { try base.flush() }
}
