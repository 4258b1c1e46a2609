import Foundation
import Glibc
import Replication
import ServiceKit
import Testing
import Transport
import Wire

/// The real program, killed.
@Suite(.timeLimit(.minutes(3)), .serialized) struct GatewayProcessTests {
  private let lab: GatewayLab

  init() throws { lab = try GatewayLab() }

  private func end(_ process: Process, _ signal: Int32) { GatewayLab.end(process, signal) }

  @Test func `after SIGKILL the old epoch is closed, and the sync goes on from what was settled`() async throws {
    let disk = try lab.volume("v1", size: 4 << 20)
    let agent = AgentKey()
    let (first, gateway) = try lab.startProcess()
    defer { if first.isRunning { end(first, SIGKILL) } }
    let epoch = try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
      try await source.open()
      try await source.write(TestFrame.leaves(32, seed: 1), leaf: 0)
      try await source.flush()
      try await source.write(TestFrame.leaves(32, seed: 2), leaf: 32)
      end(first, SIGKILL)
      return source.epoch
    }
    let (second, again) = try lab.startProcess()
    defer { if second.isRunning { end(second, SIGKILL) } }
    #expect(again.publicKey == gateway.publicKey)
    try await again.withSource(session: "s1", disks: [disk], agent: agent) { source in
      let frame = try TestFrame.data(TestFrame.leaves(1, seed: 3), at: 0)
      let late = Sequence(rawValue: 100)
      #expect(try await refusal { try await source.put(frame, sequence: late, epoch: epoch) } == "epoch_closed")
      #expect(try await source.open(fresh: false).parts == 1)
      #expect(source.epoch > epoch)
      #expect(try await refusal { try await source.put(frame, sequence: late, epoch: epoch) } == "epoch_closed")
      let held = try await source.gateway.held(disk: 0, leaves: 64)
      #expect(held.contains(0..<32) && held.population == 32)
      try await source.write(TestFrame.leaves(32, seed: 2), leaf: 32)
      try await source.flush()
      let receipt = try #require(try await source.seal().receipt)
      #expect(receipt.isSigned(by: again.publicKey))
    }
    end(second, SIGTERM)
    #expect(second.terminationStatus == 0)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: disk.location))
    #expect(Array(bytes) == TestFrame.leaves(32, seed: 1) + TestFrame.leaves(32, seed: 2))
  }

  @Test func `killed in the middle of writing, again and again, the map never lies`() async throws {
    let disk = try lab.volume("v1", size: 8 << 20)
    let agent = AgentKey()
    var settled = 0
    for round in 0..<8 as Range<UInt64> {
      let (process, gateway) = try lab.startProcess()
      defer { if process.isRunning { end(process, SIGKILL) } }
      settled += try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
        try await source.open(fresh: round == 0)
        for state in try await source.gateway.leaves(disk: 0, 0..<128) where state.kind == .data {
          let data = try Data(contentsOf: URL(fileURLWithPath: disk.location))
          let range = Int(state.leaf) * 65_536..<(Int(state.leaf) + 1) * 65_536
          #expect(TestFrame.records(of: Array(data[range]), leaf: state.leaf, disk: 0) == [state])
        }
        return await writeUntilKilled(source, process, round: round)
      }
    }
    #expect(settled > 8)
  }

  /// Writes and flushes until the gateway is killed; how many flushes were answered.
  private func writeUntilKilled(_ source: TestSource, _ process: Process, round: UInt64) async -> Int {
    var settled = 0
    for step in 0..<1000 as Range<UInt64> {
      do {
        try await source.write(TestFrame.leaves(8, seed: round << 16 | step), leaf: step * 8 % 128)
        if step % 3 == 2 {
          try await source.flush()
          settled += 1
        }
      } catch { return settled }
      // By another thread, so that it falls anywhere within the next requests.
      if step == 5 + round * 2 {
        let process = process.processIdentifier
        Thread.detachNewThread { kill(process, SIGKILL) }
      }
    }
    return settled
  }
}
