import Blocks
import Crypto
import Foundation
import Frames
import NIOCore
import Replication
import Synchronization
import Transport
import Wire

/// A source that does what a test tells it, right or wrong.
final class TestSource: Sendable {
  private struct State {
    var epoch = Epoch(rawValue: 0)
    var sequence = Sequence(rawValue: 0)
    var part: UInt64 = 0
    var chain: ManifestChain
    var pending: [LeafRecord] = []
  }

  let client: SecureClient
  let gateway: GatewayClient
  let base: String
  let session: String
  let token: String
  let agent: AgentKey
  private let state: Mutex<State>

  init(client: SecureClient, base: String, session: String, token: String, agent: AgentKey) {
    (self.client, self.base, self.session, self.token, self.agent) = (client, base, session, token, agent)
    gateway = GatewayClient(client: client, base: base, session: session, grant: token)
    state = Mutex(State(chain: ManifestChain(session: session, previous: "")))
  }

  var epoch: Epoch { state.withLock { $0.epoch } }
  var chain: String { state.withLock { $0.chain.hex } }

  @discardableResult func open(fresh: Bool = true) async throws -> OpenAnswer {
    let answer = try await gateway.open(fresh: fresh)
    state.withLock { state in
      state.epoch = Epoch(rawValue: answer.epoch)
      state.sequence = Sequence(rawValue: 0)
      state.part = answer.parts
      state.pending = []
      state.chain =
        ManifestChain(resuming: answer.chain, parts: answer.parts)
        ?? ManifestChain(session: session, previous: answer.previous)
    }
    return answer
  }

  func nextSequence() -> Sequence {
    state.withLock { state in
      state.sequence = state.sequence.next
      return state.sequence
    }
  }

  /// Sends whole leaves from `leaf` on, in one frame, and notes their records.
  func write(_ bytes: [UInt8], leaf: UInt64, disk: UInt16 = 0, compression: FrameEncoder.Compression = .none)
    async throws
  {
    let start = leaf * Leaf.size
    try await put(
      try TestFrame.data(bytes, at: start, disk: disk, compression: compression), sequence: nextSequence())
    note(TestFrame.records(of: bytes, leaf: leaf, disk: disk))
  }

  func zero(leaf: UInt64, run: UInt32 = 1, disk: UInt16 = 0) async throws {
    let range = leaf * Leaf.size..<(leaf + UInt64(run)) * Leaf.size
    try await put(try TestFrame.zero(range, disk: disk), sequence: nextSequence())
    note((leaf..<leaf + UInt64(run)).map { LeafRecord(disk: disk, leaf: $0, kind: .zero) })
  }

  /// Adds records to the next flush.
  func note(_ records: [LeafRecord]) { state.withLock { $0.pending += records } }

  func put(_ frame: ByteBuffer, sequence: Sequence, epoch: Epoch? = nil) async throws {
    try await gateway.put(frame: frame, sequence: sequence, epoch: epoch ?? self.epoch, timeout: .seconds(30))
  }

  /// Settles everything sent so far.
  @discardableResult func flush() async throws -> FlushAnswer {
    let (epoch, through, part, records) = state.withLock { state in
      defer { state.pending = [] }
      return (state.epoch, state.sequence, state.part, LeafRecord.encode(state.pending))
    }
    let answer = try await gateway.flush(epoch: epoch, through: through, part: part, records: records)
    state.withLock { state in
      state.part += 1
      state.chain.append(part: records)
    }
    return answer
  }

  /// Asks for the seal until it ended.
  func seal() async throws -> SealAnswer {
    let request = try state.withLock { state in
      SealRequest(
        epoch: state.epoch.rawValue, chain: state.chain.hex, signature: try state.chain.sign(with: agent),
        consistency: ["sda1": "filesystem"])
    }
    while true {
      let answer = try await gateway.seal(request)
      if answer.state != .reading { return answer }
    }
  }
}

enum TestFrame {
  static func data(
    _ bytes: [UInt8], at offset: UInt64, disk: UInt16 = 0, compression: FrameEncoder.Compression = .none
  ) throws -> ByteBuffer {
    let extent = FrameExtent(disk: disk, kind: .data, range: offset..<offset + UInt64(bytes.count))
    var encoder = try FrameEncoder([extent], compression: compression)
    try encoder.append(bytes.span.bytes)
    return try encoder.finish()
  }

  static func zero(_ range: Range<UInt64>, disk: UInt16 = 0) throws -> ByteBuffer {
    try FrameEncoder([FrameExtent(disk: disk, kind: .zero, range: range)]).finish()
  }

  /// The records of whole leaves.
  static func records(of bytes: [UInt8], leaf: UInt64, disk: UInt16) -> [LeafRecord] {
    stride(from: 0, to: bytes.count, by: Int(Leaf.size)).enumerated().map { index, start in
      let content = bytes[start..<min(start + Int(Leaf.size), bytes.count)]
      guard content.contains(where: { $0 != 0 }) else {
        return LeafRecord(disk: disk, leaf: leaf + UInt64(index), kind: .zero)
      }
      let digest = LeafDigest(bytes: Array(SHA256.hash(data: Array(content)))) ?? .none
      return LeafRecord(disk: disk, leaf: leaf + UInt64(index), kind: .data, digest: digest)
    }
  }

  /// Leaves of bytes that are the same for the same seed.
  static func leaves(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * Int(Leaf.size))
    for _ in 0..<count * Int(Leaf.size) / 8 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: state >> UInt64(shift))) }
    }
    return bytes
  }
}

/// The code of the problem that `body` was refused with, nil where it was not.
func refusal(_ body: () async throws -> Void) async throws -> String? {
  do {
    try await body()
    return nil
  } catch TransportError.refused(let problem, _) { return problem.code }
}
