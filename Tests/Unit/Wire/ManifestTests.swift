import Crypto
import Replication
import Testing
import Wire

@Suite struct ManifestTests {
  let digest = LeafDigest(bytes: Array(UInt8(0)..<32))!

  @Test func `a record lies on the wire as the format says`() {
    let record = LeafRecord(
      disk: 0x0102, leaf: 0x1122_3344_5566_7788, kind: .data, equal: true, digest: digest)
    let expected: [UInt8] =
      [2, 1, 3, 1, 1, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11] + Array(UInt8(0)..<32)
    #expect(LeafRecord.encode([record]) == expected)
  }

  @Test func `records come back as they went`() throws {
    let records = [
      LeafRecord(disk: 0, leaf: 5, kind: .data, digest: digest),
      LeafRecord(disk: 1, leaf: .max, run: .max, kind: .zero),
      LeafRecord(disk: .max, leaf: 0, run: 7, kind: .free),
      LeafRecord(disk: 3, leaf: 9, kind: .unknown)
    ]
    #expect(try LeafRecord.decode(part: LeafRecord.encode(records)) == records)
    #expect(try LeafRecord.decode(part: []).isEmpty)
  }

  @Test func `a part with a cut, an unknown kind, flag or run is refused`() {
    var part = LeafRecord.encode([LeafRecord(disk: 0, leaf: 0, kind: .data, digest: digest)])
    #expect(throws: LeafRecord.CodingFailure.length(47)) { try LeafRecord.decode(part: part.dropLast(1)) }
    part[4] = 2
    #expect(throws: LeafRecord.CodingFailure.run(2, record: 0)) { try LeafRecord.decode(part: part) }
    part[4] = 0
    #expect(throws: LeafRecord.CodingFailure.run(0, record: 0)) { try LeafRecord.decode(part: part) }
    part[3] = 2
    #expect(throws: LeafRecord.CodingFailure.flags(2, record: 0)) { try LeafRecord.decode(part: part) }
    part[2] = 4
    #expect(throws: LeafRecord.CodingFailure.kind(4, record: 0)) { try LeafRecord.decode(part: part) }
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
