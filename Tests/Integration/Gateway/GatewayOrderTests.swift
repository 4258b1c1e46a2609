import Blocks
import Foundation
import Frames
import Gateway
import Replication
import Synchronization
import Testing
import Transport
import Volumes
import Wire

@Suite(.timeLimit(.minutes(3))) struct GatewayOrderTests {
  private let lab: GatewayLab

  init() throws { lab = try GatewayLab() }

  private func content(_ disk: SessionGrant.Disk, leaf: Int) throws -> [UInt8] {
    let data = try Data(contentsOf: URL(fileURLWithPath: disk.location))
    return Array(data[leaf * 65_536..<(leaf + 1) * 65_536])
  }

  @Test func `a frame that was delayed past its successor is refused, and the newer bytes stay`() async throws {
    let disk = try lab.volume("v1", size: 4 << 20)
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        let (early, late) = (source.nextSequence(), source.nextSequence())
        let (old, new) = (TestFrame.leaves(1, seed: 1), TestFrame.leaves(1, seed: 2))
        try await source.put(try TestFrame.data(new, at: 0), sequence: late)
        let delayed = try TestFrame.data(old, at: 0)
        #expect(try await refusal { try await source.put(delayed, sequence: early) } == "stale_sequence")
        #expect(try content(disk, leaf: 0) == new)
        // Elsewhere it would have been welcome; after the flush it is not.
        try await source.put(try TestFrame.data(old, at: 65_536), sequence: early)
        try await source.flush()
        #expect(try await refusal { try await source.put(delayed, sequence: early) } == "stale_sequence")
        // So is a frame of an earlier opening.
        let before = source.epoch
        try await source.open()
        #expect(source.epoch > before)
        let code = try await refusal {
          try await source.put(delayed, sequence: source.nextSequence(), epoch: before)
        }
        #expect(code == "epoch_closed")
        #expect(try content(disk, leaf: 0) == new)
      }
    }
  }

  @Test func `after a loss of power the map claims nothing that the volume does not hold`() async throws {
    let disk = try lab.volume("v1", size: 8 << 20)
    var lost = 0
    for round in 0..<6 {
      let volume = PowerLossVolume(try RawFile(path: disk.location), seed: UInt64(round))
      let agent = AgentKey()
      let opener: VolumeOpenerForTest = { _ in volume }
      try await lab.withGateway(open: opener) { gateway in
        try await gateway.withSource(session: "s\(round)", disks: [disk], agent: agent) { source in
          try await source.open()
          for leaf in stride(from: 0, to: 128, by: 4) as StrideTo<UInt64> {
            try await source.write(TestFrame.leaves(4, seed: UInt64(round) << 8 | leaf), leaf: leaf)
            if leaf == 64 { try await source.flush() }
          }
          // Acknowledged, not settled: now the power fails.
          try volume.losePower()
        }
      }
      lost += volume.losses.lost
      try await lab.withGateway { gateway in
        try await gateway.withSource(session: "s\(round)", disks: [disk], agent: agent) { source in
          try await source.open(fresh: false)
          let states = try await source.gateway.leaves(disk: 0, 0..<128)
          for state in states where state.kind == .data {
            let found = TestFrame.records(of: try content(disk, leaf: Int(state.leaf)), leaf: state.leaf, disk: 0)
            #expect(found == [state])
          }
          #expect(states.prefix(68).allSatisfy { $0.kind == .data })
          #expect(states.dropFirst(68).allSatisfy { $0.kind == .unknown })
        }
      }
    }
    #expect(lost > 0)
  }

  @Test func `a full target says so, and goes on once there is room`() async throws {
    let disk = try lab.volume("v1", size: 4 << 20)
    let volume = FullVolume(try RawFile(path: disk.location))
    let opener: VolumeOpenerForTest = { _ in volume }
    try await lab.withGateway(open: opener) { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        try await source.write(TestFrame.leaves(1, seed: 1), leaf: 0)
        volume.isFull.withLock { $0 = true }
        let next = try TestFrame.data(TestFrame.leaves(1, seed: 2), at: 65_536)
        #expect(try await refusal { try await source.put(next, sequence: source.nextSequence()) } == "target_full")
        volume.isFull.withLock { $0 = false }
        try await source.write(TestFrame.leaves(1, seed: 2), leaf: 1)
        try await source.zero(leaf: 2, run: 62)
        try await source.flush()
        #expect(try await source.seal().state == .sealed)
      }
    }
  }

  @Test func `a flush that fails closes the epoch, and what was sent is sent again`() async throws {
    let disk = try lab.volume("v1", size: 4 << 20)
    let hits = Mutex(0)
    let opener: VolumeOpenerForTest = { _ in
      var plan = FaultyBlocks.Plan()
      // The first handle cannot flush; the one after a new opening can.
      let first = hits.withLock {
        $0 += 1
        return $0 == 1
      }
      plan.flushFailures = first ? 1 : 0
      return FaultyBlocks(try RawFile(path: disk.location), plan: plan)
    }
    try await lab.withGateway(open: opener) { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        try await source.write(TestFrame.leaves(64, seed: 1), leaf: 0)
        #expect(try await refusal { try await source.flush() } == "gateway_failed")
        let frame = try TestFrame.data(TestFrame.leaves(1, seed: 2), at: 0)
        #expect(try await refusal { try await source.put(frame, sequence: source.nextSequence()) } == "epoch_closed")
        try await source.open(fresh: false)
        try await source.write(TestFrame.leaves(64, seed: 1), leaf: 0)
        try await source.flush()
        #expect(try await source.seal().state == .sealed)
      }
    }
    #expect(hits.withLock { $0 } == 2)
  }

  @Test func `a sealed replica whose volume went to another one holds it open no more`() async throws {
    let disks = [try lab.volume("v1", size: 1 << 20), try lab.volume("v2", size: 1 << 20)]
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disks[0]]) { source in
        try await source.open()
        try await source.write(TestFrame.leaves(16, seed: 1), leaf: 0)
        try await source.flush()
        #expect(try await source.seal().state == .sealed)
      }
      #expect(try openings(of: disks[0].location) == 1)
      try await gateway.withSource(session: "s2", disks: disks) { source in _ = try await source.open() }
      for _ in 0..<100 where try openings(of: disks[0].location) > 1 { try await Task.sleep(for: .milliseconds(10)) }
      #expect(try openings(of: disks[0].location) == 1)
    }
  }

  /// How many descriptors of this process are of a file.
  private func openings(of path: String) throws -> Int {
    let (folder, path) = ("/proc/self/fd/", URL(filePath: path).resolvingSymlinksInPath().path)
    return try FileManager.default.contentsOfDirectory(atPath: folder).count {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0)) == path
    }
  }

  @Test func `two sources at once both come through a narrow gateway`() async throws {
    let disks = [try lab.volume("v1", size: 16 << 20), try lab.volume("v2", size: 16 << 20)]
    let narrow: (inout GatewaySettings) -> Void = { ($0.sessionBudget, $0.totalBudget) = (9 << 20, 9 << 20) }
    try await lab.withGateway(settings: narrow) { gateway in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for (index, disk) in disks.enumerated() {
          group.addTask {
            try await gateway.withSource(session: "s\(index)", disks: [disk], migration: "m\(index)") { source in
              try await source.open()
              return try await send(source, seed: UInt64(index))
            }
          }
        }
        // The budget was exceeded, so that the limit was really met.
        let refused = try await group.reduce(0, +)
        #expect(refused > 0)
      }
    }
  }

  /// Sends 256 leaves by eight tasks, again after each `busy`; how often that was.
  private func send(_ source: TestSource, seed: UInt64) async throws -> Int {
    let refused = try await withThrowingTaskGroup(of: Int.self) { group in
      for task in 0..<8 as Range<UInt64> {
        group.addTask {
          let bytes = TestFrame.leaves(32, seed: seed << 8 | task)
          var refused = 0
          while let code = try await refusal({ try await source.write(bytes, leaf: task * 32) }) {
            #expect(code == "busy")
            refused += 1
            try await Task.sleep(for: .milliseconds(20))
          }
          return refused
        }
      }
      return try await group.reduce(0, +)
    }
    try await source.flush()
    #expect(try await source.seal().state == .sealed)
    return refused
  }
}

typealias VolumeOpenerForTest = @Sendable (SessionGrant.Disk) throws -> any BlockWriter

/// A volume whose store can be full.
final class FullVolume: BlockWriter {
  let isFull = Mutex(false)
  private let base: RawFile
  init(_ base: RawFile) { self.base = base }
  var size: UInt64 { base.size }
  var alignment: Int { base.alignment }
  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try base.read(into: &bytes, at: offset)
  }
  func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    if isFull.withLock({ $0 }) {
      throw BlockError(.full, call: "pwrite", device: base.path, offset: offset, reason: "no space left")
    }
    try base.write(bytes, at: offset)
  }
  func zero(_ range: Range<UInt64>) throws(BlockError) { try base.zero(range) }
  func flush() throws(BlockError) { try base.flush() }
}
