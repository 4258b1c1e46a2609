import AsyncHTTPClient
import Foundation
import Frames
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Replication
import ServiceKit
import Synchronization
import Testing
import Transport
import Wire

@Suite(.timeLimit(.minutes(2))) struct HostilePeerTests {
  private let lab: GatewayLab
  private let disk: SessionGrant.Disk

  init() throws {
    lab = try GatewayLab()
    disk = try lab.volume("v1", size: 4 << 20)
  }

  /// A frame by hand: one extent and any payload.
  private func raw(
    flags: UInt32 = 0, payload: UInt32, kind: UInt8 = 3, disk: UInt16 = 0, length: UInt32, offset: UInt64,
    _ bytes: [UInt8]
  ) -> ByteBuffer {
    var body = ByteBuffer()
    body.writeMultipleIntegers(0x3146_5747 as UInt32, flags, 1 as UInt32, payload, endianness: .little)
    body.writeMultipleIntegers(disk, kind, 0 as UInt8, length, offset, endianness: .little)
    body.writeBytes(bytes)
    return body
  }

  @Test func `hostile frames are refused by name, and not a byte is written`() async throws {
    let page = [UInt8](repeating: 9, count: 4096)
    var encoder = try FrameEncoder(
      [FrameExtent(disk: 0, kind: .data, range: 0..<4 << 20)], compression: .zstd(level: 1))
    try encoder.append([UInt8](repeating: 1, count: 4 << 20).span.bytes)
    let bomb = Array(try encoder.finish().readableBytesView.dropFirst(32))
    let frames: [(ByteBuffer, String)] = [
      (ByteBuffer(repeating: 0xAB, count: 5000), "malformed_frame"),
      (ByteBuffer(), "malformed_frame"),
      (raw(payload: 4096, length: 4096, offset: 4 << 20, page), "out_of_range"),
      (raw(payload: 4096, length: 4096, offset: .max - 4095, page), "out_of_range"),
      (raw(payload: 4096, disk: 1, length: 4096, offset: 0, page), "out_of_range"),
      (raw(payload: 4096, length: 4096, offset: 512, page), "malformed_frame"),
      (raw(payload: 8 << 20, length: 4096, offset: 0, page), "too_large"),
      (raw(flags: 1, payload: 4096, length: 4096, offset: 0, bomb), "malformed_frame"),
      (raw(flags: 1, payload: 4096, length: 4096, offset: 0, page), "malformed_frame"),
      (ByteBuffer(repeating: 0, count: FrameFormat.maximumBody + 1), "too_large")
    ]
    try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [disk]) { source in
        try await source.open()
        for (frame, code) in frames {
          #expect(try await refusal { try await source.put(frame, sequence: source.nextSequence()) } == code)
        }
        for records in [
          [LeafRecord(disk: 1, leaf: 0, kind: .zero)], [LeafRecord(disk: 0, leaf: 64, kind: .zero)],
          [LeafRecord(disk: 0, leaf: 1, run: .max, kind: .free)], [LeafRecord(disk: 0, leaf: .max, kind: .zero)]
        ] {
          let part = LeafRecord.encode(records)
          let code = try await refusal {
            _ = try await source.gateway.flush(
              epoch: source.epoch, through: Sequence(rawValue: 0), part: 0, records: part)
          }
          #expect(code == "out_of_range")
        }
        // It serves on.
        try await source.write(TestFrame.leaves(1, seed: 1), leaf: 63)
      }
    }
    let bytes = try Data(contentsOf: URL(fileURLWithPath: disk.location))
    #expect(bytes.prefix(63 * 65_536).allSatisfy { $0 == 0 })
    #expect(Array(bytes.suffix(65_536)) == TestFrame.leaves(1, seed: 1))
  }

  @Test func `only the agent of the grant may speak, and only until it expires`() async throws {
    let agent = AgentKey()
    try await lab.withGateway { gateway in
      func code(
        _ grant: SessionGrant, issuer: AgentKey, speaker: AgentKey, session: String = "s1"
      ) async throws -> String? {
        let token = try CompactJWS.sign(grant, with: issuer)
        return try await gateway.withClient(speaker) { client in
          try await refusal {
            _ = try await client.send(
              .post, gateway.base + "/v1/sessions/\(session)/open?fresh=1", token: token)
          }
        }
      }
      let grant = lab.grant(session: "s1", disks: [disk], agent: agent)
      var expired = grant
      expired.exp = lab.clock.withLock { $0 } - 1
      // The same volume for another tenant.
      var foreign = grant
      foreign.tenant = "t2"
      var codes = [
        try await code(grant, issuer: AgentKey(), speaker: agent),
        try await code(grant, issuer: lab.issuer, speaker: AgentKey()),
        try await code(grant, issuer: lab.issuer, speaker: agent, session: "s2"),
        try await code(grant, issuer: lab.issuer, speaker: agent),
        try await code(expired, issuer: lab.issuer, speaker: agent),
        try await code(foreign, issuer: lab.issuer, speaker: agent)
      ]
      lab.clock.withLock { $0 += 4000 }
      codes.append(try await code(grant, issuer: lab.issuer, speaker: agent))
      let refused = "grant_refused"
      #expect(codes == [refused, "proof_refused", refused, nil, refused, refused, refused])
    }
  }

  @Test func `a recorded request cannot be sent again, nor to another place, nor late`() async throws {
    let agent = AgentKey()
    let grant = lab.grant(session: "s1", disks: [disk], agent: agent)
    let token = try CompactJWS.sign(grant, with: lab.issuer)
    try await lab.withGateway { gateway in
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.trustRoots = .certificates(
        try NIOSSLCertificate.fromPEMBytes(Array(lab.authority.certificatePEM.utf8)))
      let client = HTTPClient(
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: .init(tlsConfiguration: tls))
      func status(path: String, proof: String?) async throws -> UInt {
        var request = HTTPClientRequest(url: gateway.base + path)
        request.method = .POST
        request.headers.add(name: "authorization", value: "DPoP \(token)")
        if let proof { request.headers.add(name: "dpop", value: proof) }
        let answer = try await client.execute(request, timeout: .seconds(10))
        _ = try await answer.body.collect(upTo: 1 << 20)
        return answer.status.code
      }
      let path = "/v1/sessions/s1/open"
      let now = lab.clock.withLock { $0 }
      func proof(_ method: String = "POST", path: String, at time: Int, jti: String) throws -> String {
        try KeyProof.make(
          key: agent, method: method, url: gateway.base + path, accessToken: token, now: time, jti: jti)
      }
      let first = try proof(path: path, at: now, jti: "a")
      let statuses = [
        try await status(path: path + "?fresh=1", proof: first),
        try await status(path: path + "?fresh=1", proof: first),
        try await status(path: path, proof: nil),
        try await status(path: path, proof: try proof("PUT", path: path, at: now, jti: "b")),
        try await status(path: path, proof: try proof(path: "/v1/sessions/s1/seal", at: now, jti: "c")),
        try await status(path: path, proof: try proof(path: path, at: now - 301, jti: "d")),
        try await status(path: path, proof: try proof(path: path, at: now + 301, jti: "e")),
        try await status(path: path, proof: try proof(path: path, at: now, jti: "f"))
      ]
      try await client.shutdown()
      #expect(statuses == [200, 401, 401, 401, 401, 401, 401, 200])
    }
  }
}
