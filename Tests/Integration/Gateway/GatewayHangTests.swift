import Foundation
import Gateway
import NetworkVolumes
import Replication
import Source
import Synchronization
import Testing
import Transport
import Wire

/// A storage daemon that hangs without closing its connection costs its own source time, and nobody else.
@Suite(.timeLimit(.minutes(3)), .serialized) struct GatewayHangTests {
  private static let patience = Duration.seconds(3)
  private let lab: GatewayLab

  init() throws { lab = try GatewayLab() }

  private var opener: VolumeOpenerForTest { { try openVolume($0, patience: Self.patience) } }

  private func withDaemon(
    _ body: @Sendable (StorageDaemon, SessionGrant.Disk) async throws -> Void
  ) async throws {
    let raw = try lab.volume("hanging", size: 16 << 20)
    try await StorageDaemon.with(file: raw.location, folder: lab.folder) { daemon in
      try await body(daemon, SessionGrant.Disk(volume: "hanging", location: daemon.location, size: raw.size))
    }
  }

  @Test func `A hung volume is given up with a reason, its source goes on afterwards, and others do not wait`()
    async throws
  {
    try await withDaemon { daemon, disk in
      let other = try lab.volume("other", size: 16 << 20)
      try await lab.withGateway(open: opener) { gateway in
        try await gateway.withSource(session: "s1", disks: [disk], connections: 24) { hanging in
          try await hanging.open()
          try await hanging.write(TestFrame.leaves(8, seed: 1), leaf: 0)
          try await hanging.flush()
          daemon.hang()
          defer { daemon.goOn() }
          async let flood = Self.flood(hanging)
          try await Task.sleep(for: .milliseconds(300))
          let beside = try await Self.writes(gateway, other, for: Self.patience / 2)
          let reasons = try await flood
          #expect(beside >= 10, "the other source wrote \(beside) frames and settled them meanwhile")
          #expect(reasons.count == 24)
          #expect(reasons.contains { $0.contains("no answer within 3.0 seconds") }, "\(reasons)")
          #expect(!reasons.contains("it was acknowledged"))
          daemon.goOn()
          try await Self.comeBack(hanging)
        }
      }
      let bytes = try Data(contentsOf: URL(filePath: daemon.file))
      #expect(Array(bytes.prefix(8 << 16)) == TestFrame.leaves(8, seed: 1))
      #expect(Array(bytes[(8 << 16)..<(40 << 16)]) == TestFrame.leaves(32, seed: 99))
    }
  }

  @Test func `A hung storage daemon that is replaced is opened anew`() async throws {
    try await withDaemon { daemon, disk in
      try await lab.withGateway(open: opener) { gateway in
        try await gateway.withSource(session: "s1", disks: [disk]) { source in
          try await source.open()
          try await source.write(TestFrame.leaves(8, seed: 1), leaf: 0)
          daemon.hang()
          #expect(try await refusal { try await source.flush() } == "gateway_failed")
          daemon.kill()
          try daemon.start()
          try await source.open(fresh: false)
          try await source.write(TestFrame.leaves(8, seed: 1), leaf: 0)
          try await Self.comeBack(source)
        }
      }
    }
  }

  @Test func `While a volume hangs as it is opened its own requests are answered at once, and others do not wait`()
    async throws
  {
    let (hanging, other) = (try lab.volume("hanging", size: 16 << 20), try lab.volume("other", size: 16 << 20))
    let gate = Mutex(false)
    let opener: VolumeOpenerForTest = { disk in
      // As long as an NBD server that accepts and says nothing would be waited for.
      if disk.volume == "hanging" { while !gate.withLock({ $0 }) { usleep(10_000) } }
      return try openVolume(disk)
    }
    try await lab.withGateway(open: opener) { gateway in
      try await gateway.withSource(session: "s1", disks: [hanging], connections: 24) { source in
        async let opening = source.open()
        try await Task.sleep(for: .milliseconds(200))
        let start = ContinuousClock.now
        async let reasons = Self.flood(source)
        let second = try await refusal { _ = try await source.gateway.open(fresh: true) }
        let beside = try await Self.writes(gateway, other, for: .seconds(1))
        #expect(beside >= 10, "the other source wrote \(beside) frames meanwhile")
        #expect(second == "busy")
        #expect(try await reasons.allSatisfy { $0.contains("epoch") })
        #expect(.now - start < .seconds(10))
        gate.withLock { $0 = true }
        _ = try await opening
        try await source.write(TestFrame.leaves(1, seed: 5), leaf: 0)
        try await source.flush()
      }
    }
  }

  @Test(arguments: [true, false])
  func `The real agent's sync outlives a storage daemon that hangs`(comesBack: Bool) async throws {
    try await SyncBench.with(size: 48 << 20, gateway: ["--volume-timeout", "2"]) { bench in
      try SyncTests.fill(bench)
      try await StorageDaemon.with(file: bench.replica, folder: bench.folder) { daemon in
        let source = try TrackedFile(path: bench.source)
        let hung = Mutex(false)
        let command = try bench.command(
          .full, session: "s1", limits: .init(link: 12 << 20), location: daemon.location)
        let watch: @Sendable (AgentReport) async -> Void = { report in
          guard report.progress?.sentBytes ?? 0 > 4 << 20 else { return }
          let first = hung.withLock { hung in
            defer { hung = true }
            return !hung
          }
          guard first else { return }
          daemon.hang()
          // Longer than the gateway waits.
          try? await Task.sleep(for: .seconds(4))
          if comesBack { return daemon.goOn() }
          daemon.kill()
          try? daemon.start()
        }
        let report = await bench.runner().run(
          command, id: "c", source: source, interval: .milliseconds(20), report: watch)
        #expect(hung.withLock { $0 })
        #expect(report.state == .done, "\(report) \(bench.log)")
        #expect(bench.log.contains("no answer within"), "it really hung for too long")
      }
      #expect(try bench.isEqual())
    }
  }

  /// More requests than the gateway has threads; what became of each.
  private static func flood(_ source: TestSource) async throws -> [String] {
    try await withThrowingTaskGroup(of: String.self) { group in
      for index in 1...24 as ClosedRange<UInt64> {
        group.addTask {
          do { try await source.write(TestFrame.leaves(1, seed: index), leaf: 8 + index) } catch { return "\(error)" }
          return "it was acknowledged"
        }
      }
      var reasons: [String] = []
      for try await reason in group { reasons.append(reason) }
      return reasons
    }
  }

  /// How many frames a source of its own can write and settle within a time.
  private static func writes(
    _ gateway: RunningGateway, _ disk: SessionGrant.Disk, for time: Duration
  ) async throws -> Int {
    try await gateway.withSource(session: "s2", disks: [disk], migration: "m2") { source in
      let end = ContinuousClock.now + time
      try await source.open()
      var count = 0
      while .now < end {
        try await source.write(TestFrame.leaves(1, seed: UInt64(count)), leaf: UInt64(count % 256))
        if count % 8 == 7 { try await source.flush() }
        count += 1
      }
      return count
    }
  }

  /// Opens again as an agent does, writes the rest, and seals.
  private static func comeBack(_ source: TestSource) async throws {
    for _ in 0..<100 {
      do {
        try await source.open(fresh: false)
        break
      } catch let error as TransportError where error.isTransient { try await Task.sleep(for: .milliseconds(200)) }
    }
    try await source.write(TestFrame.leaves(8, seed: 1), leaf: 0)
    try await source.write(TestFrame.leaves(32, seed: 99), leaf: 8)
    for leaf in stride(from: 40, to: 256, by: 72) as StrideTo<UInt64> { try await source.zero(leaf: leaf, run: 72) }
    try await source.flush()
    #expect(try await source.seal().state == .sealed)
  }
}
