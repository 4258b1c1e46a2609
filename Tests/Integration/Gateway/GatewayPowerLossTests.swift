import Foundation
import Replication
import Synchronization
import Testing
import Transport
import Wire

/// The power of a gateway's machine fails: state folder and volume lie on one filesystem, whose disk is copied as it is
/// at that instant. What the page cache held and the disk did not is lost, as it would be.
@Suite(.timeLimit(.minutes(3)), .serialized) struct GatewayPowerLossTests {
  private static let leaves: UInt64 = 128
  private static let rounds = 8

  /// What the source knows of its leaves.
  private struct Ledger {
    /// Seeds of what a flush that was answered settled, and of what was acknowledged since or may be on its way.
    var settled: [UInt64: UInt64] = [:]
    var since: [UInt64: UInt64] = [:]
    var parts: UInt64 = 0
  }

  private final class Notes: Sendable { let ledger = Mutex(Ledger()) }

  @Test func `After each loss of power the state folder claims what was settled, and nothing that is not there`()
    async throws
  {
    try await LoopDisk.with(size: 256 << 20) { machine in
      try machine.mount("ext4")
      let lab = try GatewayLab(in: machine.mountPoint)
      let disk = try lab.volume("v1", size: Self.leaves * Leaf.size)
      let agent = AgentKey()
      try run("sync", "--file-system", machine.mountPoint)
      var ledger = Ledger()
      var lost = 0
      for round in 0..<Self.rounds as Range<Int> {
        let (process, gateway) = try lab.startProcess()
        defer { if process.isRunning { GatewayLab.end(process, SIGKILL) } }
        let before = ledger
        let after = Notes()
        try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
          let parts = try await source.open(fresh: round == 0).parts
          #expect(parts >= before.parts, "parts that were settled are kept")
          try await Self.check(source, disk, before)
          var now = before
          // Of what was on its way when the power failed nothing is promised.
          for leaf in before.since.keys { now.settled[leaf] = nil }
          (now.since, now.parts) = ([:], parts)
          let deadline = ContinuousClock.now + .milliseconds(Int.random(in: 150...600))
          after.ledger.withLock { $0 = now }
          await Self.write(source, round: UInt64(round), until: deadline, after)
        }
        kill(process.processIdentifier, SIGSTOP)
        try run("cp", "--reflink=never", machine.image, machine.folder + "/crash.img")
        GatewayLab.end(process, SIGKILL)
        ledger = after.ledger.withLock { $0 }
        machine.unmount()
        // Through the device, whose own cache would otherwise show what was lost.
        try run("dd", "if=\(machine.folder)/crash.img", "of=\(machine.path)", "bs=1M", "oflag=direct", "status=none")
        try run("mount", machine.path, machine.mountPoint)
        lost += try ledger.since.filter { leaf, seed in
          try Self.content(disk, leaf) != TestFrame.leaves(1, seed: seed)
        }.count
      }
      #expect(lost > 0, "power loss that loses nothing proves nothing")
      let (process, gateway) = try lab.startProcess()
      defer { if process.isRunning { GatewayLab.end(process, SIGKILL) } }
      try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { [ledger] source in
        _ = try await source.open(fresh: false)
        try await Self.check(source, disk, ledger)
        for leaf in 0..<Self.leaves { try await source.write(TestFrame.leaves(1, seed: leaf), leaf: leaf) }
        try await source.flush()
        #expect(try await source.seal().state == .sealed)
      }
      print("lost \(lost) leaves in \(Self.rounds) losses of power, \(ledger.parts) parts settled")
    }
  }

  private static func content(_ disk: SessionGrant.Disk, _ leaf: UInt64) throws -> [UInt8] {
    let file = try FileHandle(forReadingFrom: URL(filePath: disk.location))
    defer { try? file.close() }
    try file.seek(toOffset: leaf * Leaf.size)
    return Array(try file.read(upToCount: Int(Leaf.size)) ?? Data())
  }

  private static func check(_ source: TestSource, _ disk: SessionGrant.Disk, _ ledger: Ledger) async throws {
    let states = try await source.gateway.leaves(disk: 0, 0..<leaves)
    for state in states where state.kind == .data {
      let found = TestFrame.records(of: try content(disk, state.leaf), leaf: state.leaf, disk: 0)
      #expect(found == [state], "leaf \(state.leaf) is claimed and not there")
    }
    for (leaf, seed) in ledger.settled where ledger.since[leaf] == nil {
      let wanted = TestFrame.records(of: TestFrame.leaves(1, seed: seed), leaf: leaf, disk: 0)
      #expect([states[Int(leaf)]] == wanted, "leaf \(leaf) was settled and is not claimed")
    }
  }

  private static func write(
    _ source: TestSource, round: UInt64, until deadline: ContinuousClock.Instant, _ notes: Notes
  ) async {
    for step in 0..<100_000 as Range<UInt64> where .now < deadline {
      let (leaf, seed) = (step * 7 % leaves, round << 32 | step)
      notes.ledger.withLock { $0.since[leaf] = seed }
      do {
        try await source.write(TestFrame.leaves(1, seed: seed), leaf: leaf)
        guard step % 9 == 8 else { continue }
        try await source.flush()
      } catch {
        Issue.record(error)
        return
      }
      notes.ledger.withLock { ledger in
        ledger.settled.merge(ledger.since) { $1 }
        (ledger.since, ledger.parts) = ([:], ledger.parts + 1)
      }
    }
  }
}
