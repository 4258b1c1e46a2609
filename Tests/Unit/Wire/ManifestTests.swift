import Crypto
import Replication
import Testing
import Wire

@Suite struct ManifestTests {
  let digest = LeafDigest(bytes: Array(UInt8(0)..<32))!

  @Test func `a record lies on the wire as the format says`() {
    let record = ManifestRecord(
      LeafRecord(disk: 0x0102, leaf: 0x1122_3344_5566_7788, kind: .data, digest: digest), foundEqual: true)
    let expected: [UInt8] =
      [2, 1, 3, 1, 1, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11] + Array(UInt8(0)..<32)
    #expect(ManifestRecord.encode([record]) == expected)
  }

  @Test func `records come back as they went`() throws {
    let records = [
      ManifestRecord(LeafRecord(disk: 0, leaf: 5, kind: .data, digest: digest)),
      ManifestRecord(LeafRecord(disk: 1, leaf: .max, kind: .zero), run: .max),
      ManifestRecord(LeafRecord(disk: .max, leaf: 0, kind: .free), run: 7),
      ManifestRecord(LeafRecord(disk: 3, leaf: 9, kind: .unknown))
    ]
    #expect(try ManifestRecord.decode(part: ManifestRecord.encode(records)) == records)
    #expect(try ManifestRecord.decode(part: []).isEmpty)
  }

  @Test func `a part with a cut, an unknown kind, flag or run is refused`() {
    var part = ManifestRecord.encode([ManifestRecord(LeafRecord(disk: 0, leaf: 0, kind: .data, digest: digest))])
    #expect(throws: ManifestRecord.CodingFailure.length(47)) { try ManifestRecord.decode(part: part.dropLast(1)) }
    part[4] = 2
    #expect(throws: ManifestRecord.CodingFailure.run(2, record: 0)) { try ManifestRecord.decode(part: part) }
    part[4] = 0
    #expect(throws: ManifestRecord.CodingFailure.run(0, record: 0)) { try ManifestRecord.decode(part: part) }
    part[3] = 2
    #expect(throws: ManifestRecord.CodingFailure.flags(2, record: 0)) { try ManifestRecord.decode(part: part) }
    part[2] = 4
    #expect(throws: ManifestRecord.CodingFailure.kind(4, record: 0)) { try ManifestRecord.decode(part: part) }
  }

  @Test func `the chain is the hash that the format spells out`() {
    var chain = ManifestChain(session: "s", previous: "")
    let first = Array(SHA256.hash(data: Array("godwit-manifest-1\0s\0".utf8)))
    #expect(chain.value == first)
    chain.append(part: [1, 2, 3])
    let second = SHA256.hash(data: first + Array(SHA256.hash(data: [1, 2, 3] as [UInt8])))
    #expect(chain.value == Array(second))
    #expect(chain.parts == 1)
    #expect(ManifestChain(resuming: chain.hex, parts: 1) == chain)
    #expect(ManifestChain(resuming: "00", parts: 1) == nil)
  }

  @Test func `a seal's signature holds for its chain and key only`() throws {
    let key = AgentKey()
    var chain = ManifestChain(session: "s", previous: "")
    let signature = try chain.sign(with: key)
    #expect(chain.isSigned(signature, by: key.publicKey))
    #expect(!chain.isSigned(signature, by: AgentKey().publicKey))
    chain.append(part: [])
    #expect(!chain.isSigned(signature, by: key.publicKey))
  }
}
