import Blocks
import Evidence
import Foundation
import NIOPosix
import Replication
import ServiceKit
import Source
import Synchronization
import Testing
import Transport
import Volumes
import Wire

@testable import Migration

/// Evidence as a real agent and a real gateway give it, put together as the service does.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PointEvidenceTests {
  private static let size: UInt64 = (4 << 20) + 5000
  private let lab: GatewayLab
  private let agent = AgentKey()

  init() throws { lab = try GatewayLab() }

  private func disk() throws -> SessionGrant.Disk { try lab.volume("v1", size: Self.size) }

  private func source() throws -> TrackedFile {
    let file = try RawFile.create(path: lab.path("source"), size: Self.size)
    try file.write(TestFrame.leaves(40, seed: 3).span.bytes, at: 0)
    return try TrackedFile(path: lab.path("source"))
  }

  private func command(
    _ gateway: RunningGateway, _ mode: SyncCommand.Mode, _ session: String, _ disk: SessionGrant.Disk
  ) throws -> SyncCommand {
    let grant = lab.grant(session: session, disks: [disk], agent: agent)
    return SyncCommand(
      migration: "m1", session: session, mode: mode, final: false, gateway: gateway.base,
      grant: try CompactJWS.sign(grant, with: lab.issuer), disks: ["file"])
  }

  private func points(
    _ gateway: RunningGateway, _ session: String, _ disk: SessionGrant.Disk
  ) throws -> GatewayPoints {
    try GatewayPoints(
      CloudsAPI.Gateway(
        url: gateway.base, ca: lab.authority.certificatePEM, key: Base64URL.encode(gateway.publicKey)),
      tenant: "t1", migration: "m1", session: session, disks: [disk], key: lab.issuer, now: lab.clock.withLock { $0 })
  }

  private func evidence(
    _ gateway: RunningGateway, _ session: String, _ disk: SessionGrant.Disk, _ report: AgentReport
  ) async throws -> [UInt8] {
    let identity = AgentIdentityClaims(
      tenant: "t1", source: "src", name: "web", key: Base64URL.encode(agent.publicKey), enrolledAt: 1)
    func der(_ role: SignerRole, _ key: [UInt8]) throws -> [UInt8] {
      CertificateAuthority.der(pem: try lab.authority.signer(role, publicKey: key)) ?? []
    }
    return try EvidenceFile.make(
      gatewayCertificate: der(.gateway, gateway.publicKey), enrolmentCertificate: der(.enrolment, lab.issuer.publicKey),
      agentIdentity: CompactJWS.sign(identity, header: .init(typ: AgentIdentityClaims.type), with: lab.issuer),
      agentStatement: try #require(report.statement), receipt: try #require(report.receipt),
      manifests: try await points(gateway, session, disk).manifests()
    ) { content in
      let claims = PointClaims(
        content: content, tenant: "t1", source: "src", migration: "m1", point: "p", session: session, final: false,
        disks: [.init(name: "file", size: Self.size, volume: disk.volume, snapshot: "snap")], createdAt: 7)
      return try CompactJWS.sign(claims, header: .init(typ: PointClaims.type), with: lab.issuer)
    }
  }

  /// Re-reads what stands at the disk's location as the point of `session`.
  private func verify(
    _ gateway: RunningGateway, _ session: String, _ disk: SessionGrant.Disk, run: String
  ) async throws -> PointVerification {
    while true {
      let answer = try await points(gateway, session, disk).verify(run: run)
      if answer.state != .reading {
        return try CompactJWS.verify(
          try #require(answer.verification, "\(answer)"), publicKey: gateway.publicKey, as: PointVerification.self,
          typ: PointVerification.type)
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  private func flip(_ path: String, at offset: UInt64) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.seek(toOffset: offset)
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: offset)
    try file.write(contentsOf: [byte ^ 4])
  }

  /// What follows on the sync that is broken off.
  enum Next: CaseIterable {
    case anotherSync
    /// The agent was killed in that sync; its marks outlive it, as pinned ones do.
    case anotherProcess
    /// The same, and the command was still there.
    case theSameSync
  }

  @Test(arguments: Next.allCases)
  func `a point's evidence holds against its volume, across a sync that was broken off; one bit less and it fails`(
    next: Next
  ) async throws {
    let pool = NIOThreadPool(numberOfThreads: 4)
    pool.start()
    let disk = try disk()
    let source = try source()
    try await lab.withGateway { gateway in
      let memory = lab.path("memory.json")
      var runner = runner(pool, memory)
      let full = await runner.run(try command(gateway, .full, "s1", disk), id: "c1", source: source) { _ in }
      #expect(full.state == .done, "\(full)")
      let first = try await evidence(gateway, "s1", disk, full)
      // This sync settles its first round, and is broken off in the instant that follows.
      try source.write([UInt8](repeating: 8, count: 70_000), at: 300_000)
      let before = source.takes
      source.atTake.withLock {
        $0 = { [runner] number in
          guard number >= before + 2 else { return }
          // What a process that is killed here leaves.
          try? FileManager.default.copyItem(atPath: memory, toPath: memory + ".killed")
          _ = runner.cancel(command: "c2")
        }
      }
      let broken = await runner.run(try command(gateway, .delta, "s2", disk), id: "c2", source: source) { _ in }
      #expect(broken.state == .failed, "\(broken)")
      source.atTake.withLock { $0 = nil }
      try source.write([UInt8](repeating: 9, count: 10), at: Self.size - 10)
      if next != .anotherSync { runner = self.runner(pool, memory + ".killed") }
      let last = next == .theSameSync ? "s2" : "s3"
      let delta = await runner.run(try command(gateway, .delta, last, disk), id: "c3", source: source) { _ in }
      #expect(delta.state == .done && delta.progress?.mode == .delta, "\(delta)")
      let second = try await evidence(gateway, last, disk, delta)
      let check = EvidenceCheck(authority: lab.authority.certificatePEM)
      let checked = try check.check(second)
      #expect(checked.statement.carried.map(\.session) == ["s2"], "the broken sync settled nothing: the test is void")
      // The older point can still be proven.
      #expect(try check.check(first).receipt.session == "s1")
      try await compare(gateway, last, disk, second, checked)
    }
    try await pool.shutdownGracefully()
  }

  private func runner(_ pool: NIOThreadPool, _ memory: String) -> SyncRunner {
    SyncRunner(
      connection: ConnectionSettings(authority: lab.authority.certificatePEM), key: agent,
      group: MultiThreadedEventLoopGroup.singleton, pool: pool, memory: memory)
  }

  private func compare(
    _ gateway: RunningGateway, _ session: String, _ disk: SessionGrant.Disk, _ file: [UInt8],
    _ checked: EvidenceCheck.Checked
  ) async throws {
    let volume = try RawFile(path: disk.location, readOnly: true)
    #expect(try VolumeCheck.compare(volume, size: Self.size, disk: 0, with: checked.picture)?.isEqual == true)
    #expect(try await verify(gateway, session, disk, run: "r1").differing == 0)
    let (path, ca) = (lab.path("point.evidence"), lab.path("ca/ca.pem"))
    try Data(file).write(to: URL(fileURLWithPath: path))
    let arguments = ["evidence", "check", path, "--ca", ca, "--volume", "file=" + disk.location]
    #expect(try godwit(arguments).status == 0)
    try flip(disk.location, at: 1_234_567)
    let outcome = try VolumeCheck.compare(volume, size: Self.size, disk: 0, with: checked.picture)
    #expect(outcome?.first == [1_234_567 / Leaf.size])
    let failed = try godwit(arguments)
    #expect(failed.status == 1)
    #expect(failed.output.contains("DO NOT TRUST THIS"))
    let found = try await verify(gateway, session, disk, run: "r2")
    #expect(found.differing == 1 && found.disks[0].first == [1_234_567 / Leaf.size])
    #expect(found.disks[0].root == checked.receipt.disks[0].root)
    // A run keeps what it found.
    #expect(try await verify(gateway, session, disk, run: "r1").differing == 0)
  }

  private func godwit(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: SyncBench.program("godwit"))
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  @Test func `a stranger is told nothing of points, and an unknown session has none`() async throws {
    let disk = try disk()
    try await lab.withGateway { gateway in
      let known = try points(gateway, "nothing", disk)
      await #expect { _ = try await known.manifests() } throws: { ($0 as? Problem)?.code == "no_such_seal" }
      let stranger = try GatewayPoints(
        CloudsAPI.Gateway(url: gateway.base, ca: lab.authority.certificatePEM, key: ""), tenant: "t1",
        migration: "m1", session: "s1", disks: [disk], key: AgentKey(), now: lab.clock.withLock { $0 })
      await #expect { _ = try await stranger.manifests() } throws: { ($0 as? Problem)?.code == "grant_refused" }
    }
  }
}
