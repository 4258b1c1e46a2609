import Foundation
import Frames
import Replication
import Testing
import Transport
import Wire

@Suite(.timeLimit(.minutes(2))) struct GatewaySyncTests {
  private let lab: GatewayLab
  private static let leaves: UInt64 = 64

  init() throws { lab = try GatewayLab() }

  /// 64 leaves and a last one of 5 KiB.
  private func disk(_ name: String = "v1") throws -> SessionGrant.Disk {
    try lab.volume(name, size: Self.leaves * Leaf.size + 5120)
  }

  /// Sends a full sync: data, compressed data, zeros, the short last leaf; the rest is free.
  private func sendAll(_ source: TestSource, seed: UInt64) async throws -> [UInt8] {
    let first = TestFrame.leaves(20, seed: seed)
    try await source.write(first, leaf: 0)
    try await source.write(Array(repeating: 7, count: 10 * Int(Leaf.size)), leaf: 20, compression: .zstd(level: 1))
    try await source.zero(leaf: 30, run: 4)
    let tail = Array(TestFrame.leaves(1, seed: seed + 1).prefix(5120))
    try await source.write(tail, leaf: Self.leaves)
    source.note([LeafRecord(disk: 0, leaf: 34, run: 30, kind: .free)])
    try await source.flush()
    return first + Array(repeating: 7, count: 10 * Int(Leaf.size)) + Array(repeating: 0, count: 34 * Int(Leaf.size))
      + tail
  }

  @Test func `a sync ends in a receipt that only the gateway could sign`() async throws {
    let disk = try disk()
    try await lab.withGateway { gateway in
      let agent = AgentKey()
      let chain = try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
        let opened = try await source.open()
        #expect(opened.previous.isEmpty && opened.parts == 0)
        let content = try await sendAll(source, seed: 1)
        #expect(try Data(contentsOf: URL(fileURLWithPath: disk.location)) == Data(content))
        let sealed = try await source.seal()
        let receipt = try #require(sealed.receipt)
        #expect(receipt.isSigned(by: gateway.publicKey))
        #expect(receipt.chain == source.chain)
        #expect((receipt.disks[0].dataLeaves, receipt.disks[0].zeroLeaves, receipt.disks[0].freeLeaves) == (31, 4, 30))
        #expect(receipt.readBackLeaves == 35)
        // Asked again, it is the same receipt.
        #expect(try await source.seal().receipt == receipt)
        let late = try TestFrame.data(TestFrame.leaves(1, seed: 9), at: 0)
        #expect(try await refusal { try await source.put(late, sequence: source.nextSequence()) } == "sealed")
        #expect(try await source.open(fresh: false).receipt == receipt)
        return source.chain
      }
      try await gateway.withSource(session: "s2", disks: [disk], agent: agent) { source in
        let opened = try await source.open()
        #expect(opened.previous == chain)
        #expect(opened.receipt == nil)
        try await source.write(TestFrame.leaves(1, seed: 5), leaf: 3)
        try await source.flush()
        // Only the leaf that changed is read back.
        #expect(try await source.seal().receipt?.readBackLeaves == 1)
      }
    }
  }

  @Test func `what is known of leaves is told, and survives a restart`() async throws {
    let disk = try disk()
    let agent = AgentKey()
    let written = try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
        try await source.open()
        let content = try await sendAll(source, seed: 3)
        return content
      }
    }
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
        #expect(try await refusal { _ = try await source.gateway.held(disk: 0, leaves: 65) } == "epoch_closed")
        let opened = try await source.open(fresh: false)
        #expect(opened.parts == 1)
        let held = try await source.gateway.held(disk: 0, leaves: 65)
        #expect(held.contains(0..<34) && held[64] && held.population == 35)
        let states = try await source.gateway.leaves(disk: 0, 0..<65)
        let records = TestFrame.records(of: written, leaf: 0, disk: 0)
        for (state, record) in zip(states, records) where state.kind == .data { #expect(state == record) }
        #expect(states[40].kind == .free)
        // The manifest went on from what was stored: the seal agrees with it.
        #expect(try await source.seal().state == .sealed)
      }
    }
  }

  @Test func `a flipped bit on the volume is found by the seal, and mended by sending the leaf again`() async throws {
    let disk = try disk()
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        let content = try await sendAll(source, seed: 4)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: disk.location))
        try file.seek(toOffset: 7 * Leaf.size + 1234)
        try file.write(contentsOf: [content[7 * Int(Leaf.size) + 1234] ^ 1])
        try file.close()
        let answer = try await source.seal()
        #expect(answer.state == .mismatched)
        #expect(answer.mismatches == [[0, 7]])
        try await source.write(Array(content[7 * Int(Leaf.size)..<8 * Int(Leaf.size)]), leaf: 7)
        try await source.flush()
        #expect(try await source.seal().state == .sealed)
      }
    }
  }

  @Test func `a part may be repeated with the same bytes only`() async throws {
    let disk = try disk()
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        let bytes = TestFrame.leaves(1, seed: 8)
        try await source.write(bytes, leaf: 0)
        let first = try await source.flush()
        let records = LeafRecord.encode(TestFrame.records(of: bytes, leaf: 0, disk: 0))
        let through = Sequence(rawValue: first.through)
        let again = try await source.gateway.flush(epoch: source.epoch, through: through, part: 0, records: records)
        #expect(again == first)
        let other = LeafRecord.encode(TestFrame.records(of: bytes, leaf: 1, disk: 0))
        #expect(
          try await refusal {
            _ = try await source.gateway.flush(epoch: source.epoch, through: through, part: 0, records: other)
          } == "out_of_order")
        #expect(
          try await refusal {
            _ = try await source.gateway.flush(epoch: source.epoch, through: through, part: 7, records: other)
          } == "out_of_order")
      }
    }
  }

  @Test func `a raw volume that begins like a qcow2 image is written as it is`() async throws {
    let disk = try disk()
    var header = TestFrame.leaves(1, seed: 2)
    // QFI\xfb, version 3, and a backing file that a format probe would open.
    header.replaceSubrange(0..<8, with: [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3])
    header.replaceSubrange(512..<523, with: Array("/etc/shadow".utf8))
    try await lab.withGateway { [header] gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        try await source.write(header, leaf: 0)
        try await source.flush()
      }
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: disk.location)).prefix(65_536) == Data(header))
  }

  @Test func `a new session supersedes the one before it`() async throws {
    let disk = try disk()
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { old in
        try await old.open()
        try await gateway.withSource(session: "s2", disks: [disk]) { new in
          try await new.open()
          try await new.write(TestFrame.leaves(1, seed: 1), leaf: 0)
          let late = try TestFrame.data(TestFrame.leaves(1, seed: 2), at: 0)
          let code = try await refusal { try await old.put(late, sequence: old.nextSequence()) }
          #expect(code == "epoch_closed")
          #expect(try await refusal { try await old.open() } == "superseded")
          // Of one ordinal only one session is ever opened.
          try await gateway.withSource(session: "other2", disks: [disk]) { other in
            let code = try await refusal { try await other.open() }
            #expect(code == "superseded")
          }
          #expect(try await new.open(fresh: false).receipt == nil)
        }
      }
    }
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: disk.location)).prefix(65_536) == Data(TestFrame.leaves(1, seed: 1)))
  }

  @Test func `a session that was concluded is retired for good, or was sealed and shows its receipt`() async throws {
    let disk = try disk()
    let agent = AgentKey()
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk], agent: agent) { source in
        try await source.open()
        _ = try await sendAll(source, seed: 1)
        #expect(try await gateway.conclude("s1", disks: [disk], retire: false).state == .undecided)
        let sealed = try await source.seal().receipt
        let concluded = try await gateway.conclude("s1", disks: [disk])
        #expect(concluded.state == .sealed && concluded.receipt == sealed)
        // Only who issues grants may ask.
        let own = "\(gateway.base)/v1/sessions/s1/conclude?retire=1"
        let code = try await refusal { _ = try await source.client.send(.post, own, token: source.token) }
        #expect(code == "grant_refused")
        try await gateway.withSource(session: "s2", disks: [disk], agent: agent) { later in
          try await later.open()
          // Sealed is sealed, also once a later session was opened.
          #expect(try await source.open(fresh: false).receipt == sealed)
          #expect(try await gateway.conclude("s1", disks: [disk]).receipt == sealed)
          #expect(try await gateway.conclude("s2", disks: [disk]).state == .retired)
          let code = try await refusal { _ = try await later.seal() }
          #expect(code == "epoch_closed")
          let again = try await refusal { try await later.open(fresh: false) }
          #expect(again == "superseded")
        }
      }
    }
    try await lab.withGateway { gateway in
      #expect(try await gateway.conclude("s2", disks: [disk], retire: false).state == .retired)
      try await gateway.withSource(session: "s2", disks: [disk], agent: agent) { source in
        let code = try await refusal { try await source.open() }
        #expect(code == "superseded")
      }
      // One that was never opened is retired as well; its successor opens.
      #expect(try await gateway.conclude("s3", disks: [disk]).state == .retired)
      try await gateway.withSource(session: "s4", disks: [disk], agent: agent) { source in
        let opened = try await source.open()
        #expect(opened.receipt == nil)
      }
    }
  }
}
