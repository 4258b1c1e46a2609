import Evidence
import Foundation
import Replication
import ServiceKit
import Testing
import Volumes
import Wire

@Suite(.timeLimit(.minutes(5))) struct EvidenceTests {
  @Test func `evidence of a full sync, a broken one and a delta holds, and says what every leaf held`() async throws {
    try await withTemporaryFolder { folder in
      let fixture = try EvidenceFixture(folder: folder + "/ca")
      let checked = try fixture.check.check(fixture.file())
      #expect(checked.picture.root(disk: 0) == fixture.receipt.disks[0].root)
      #expect(checked.statement == fixture.statement)
      let path = folder + "/volume"
      try Data(EvidenceFixture.volume).write(to: URL(fileURLWithPath: path))
      let size = EvidenceFixture.size
      let volume = try RawFile(path: path)
      let right = try VolumeCheck.compare(volume, size: size, disk: 0, with: checked.picture)
      #expect(right == .init(compared: 4, free: 1, differing: 0, first: []))
      // A bit of the last, short leaf; and one in the free leaf, which is nobody's.
      try volume.write([UInt8(3 ^ 16)].span.bytes, at: size - 1)
      try volume.write([UInt8(1)].span.bytes, at: 2 * Leaf.size)
      let wrong = try VolumeCheck.compare(volume, size: size, disk: 0, with: checked.picture)
      #expect(wrong == .init(compared: 4, free: 1, differing: 1, first: [4]))
    }
  }

  @Test func `every byte of a file matters`() async throws {
    try await withTemporaryFolder { folder in
      let fixture = try EvidenceFixture(folder: folder + "/ca")
      let file = try fixture.file()
      #expect(fixture.refusal(of: file) == nil)
      var held: [Int] = []
      for index in file.indices {
        var changed = file
        changed[index] ^= 1 << UInt8(index % 8)
        if fixture.refusal(of: changed) == nil { held.append(index) }
      }
      #expect(held.isEmpty, "bytes that may change unseen: \(held)")
      #expect(fixture.refusal(of: file + [0]) == .malformed)
      for length in stride(from: 0, to: file.count, by: 97) {
        #expect(fixture.refusal(of: Array(file.prefix(length))) == .malformed)
      }
    }
  }

  @Test func `keys inside of the file prove nothing`() async throws {
    try await withTemporaryFolder { folder in
      let fixture = try EvidenceFixture(folder: folder + "/ca")
      let forger = try EvidenceFixture(folder: folder + "/forger")
      #expect(forger.refusal(of: try fixture.file()) == .untrustedKey)
      // The forger signs everything anew with keys and a CA of its own, manifests included.
      let forged = try forger.file()
      #expect(forger.refusal(of: forged) == nil)
      #expect(fixture.refusal(of: forged) == .untrustedKey)
    }
  }

  @Test func `a server's certificate, or another role's, signs no evidence`() async throws {
    try await withTemporaryFolder { folder in
      let fixture = try EvidenceFixture(folder: folder + "/ca")
      let file = try EvidenceFile(parsing: fixture.file())
      let server = try fixture.authority.server("gateway", hosts: ["127.0.0.1"]).certificatePEM
      for certificate in [CertificateAuthority.der(pem: server) ?? [], file.enrolmentCertificate] {
        let forged = try EvidenceFile.make(
          gatewayCertificate: certificate, enrolmentCertificate: file.enrolmentCertificate,
          agentIdentity: file.agentIdentity, agentStatement: file.agentStatement,
          receipt: fixture.receipt.signed(by: fixture.gateway), manifests: file.manifests
        ) { _ in file.point }
        #expect(fixture.refusal(of: forged) == .untrustedKey)
      }
    }
  }

  @Test func `a platform that changes what the agent signed is found, though it signs the file itself`() async throws {
    try await withTemporaryFolder { folder in
      let sound = try EvidenceFixture(folder: folder + "/ca")
      func refusal(_ change: (inout EvidenceFixture) throws -> Void) throws -> EvidenceFailure.Code? {
        var fixture = sound
        try change(&fixture)
        return fixture.refusal(of: try fixture.file())
      }
      #expect(try refusal { _ in } == nil)
      #expect(try refusal { $0.receipt.disks[0].root = String(repeating: "0", count: 64) } == .wrongRoot)
      #expect(try refusal { $0.manifests[0].parts[0][20] ^= 1 } == .notSigned)
      #expect(try refusal { $0.manifests[1].parts[0][20] ^= 1 } == .wrongRoot)
      #expect(try refusal { $0.manifests[2].parts.append([]) } == .contradiction)
      #expect(try refusal { $0.manifests.remove(at: 1) } == .wrongRoot)
      #expect(try refusal { $0.manifests.removeFirst() } != nil)
      #expect(try refusal { $0.statement.carried = [] } == .wrongRoot)
      #expect(try refusal { $0.statement.consistency = ["sda1": "application"] } == .contradiction)
      #expect(try refusal { $0.point.disks[0].volume = "other" } == .contradiction)
      #expect(try refusal { $0.point.migration = "other" } == .contradiction)
      #expect(try refusal { $0.point.final = true } == .contradiction)
      #expect(try refusal { $0.receipt.sealedAt = 1 } == .untrustedKey)
    }
  }

  @Test func `a history comes back as it went, and a cut one is refused`() throws {
    let history = ManifestHistory(manifests: [
      .init(session: "one", previous: "", signature: "sig", parts: [[1, 2, 3], []]),
      .init(session: "two", previous: "p", signature: "", parts: [])
    ])
    let bytes = history.encode()
    #expect(try ManifestHistory(decoding: bytes) == history)
    for length in 0..<bytes.count {
      #expect(throws: ManifestHistory.Malformed.self) { try ManifestHistory(decoding: Array(bytes.prefix(length))) }
    }
    #expect(throws: ManifestHistory.Malformed.self) { try ManifestHistory(decoding: bytes + [0]) }
  }
}
