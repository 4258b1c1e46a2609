import Foundation
import ServiceKit
import Source
import Testing
import Transport
import Wire

@Suite("The doctor on this machine", .timeLimit(.minutes(1)))
struct DoctorOnThisMachineTests {
  /// Enrols a machine at a server that is there, and looks.
  private static func examine(
    _ disk: LoopDisk, server: String, connection: ConnectionSettings, key: AgentKey, hook: (name: String, mode: Int)
  ) async throws -> [Finding] {
    var places = AgentPlaces()
    (places.state, places.volatile) = (disk.folder + "/state", disk.folder + "/run")
    places.configuration = disk.folder + "/etc"
    let credential = try JSONDecoder().decode(
      AgentCredential.self, from: Data(Self.credential.utf8))
    try AgentState(places: places).save(
      Identity(server: server, connection: connection, credential: credential, key: key))
    try FileManager.default.createDirectory(
      atPath: places.hooks, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let path = places.hooks + "/" + hook.name
    _ = FileManager.default.createFile(atPath: path, contents: Data("#!/bin/sh\n".utf8))
    try FileManager.default.setAttributes([.posixPermissions: hook.mode], ofItemAtPath: path)
    defer { try? FileManager.default.removeItem(atPath: places.configuration) }
    return try await Doctor(places: places, disks: [disk.name]).examine()
  }

  private static let credential =
    #"{"tenant":"t","source":"s","accessToken":"none","expiresIn":60}"#

  @Test("A sound machine gets no stop; a service that does not answer, a foreign CA and an open hook each get one")
  func examines() async throws {
    try await SyncBench.with(size: 1 << 20) { bench in
      try await LoopDisk.with(size: 64 << 20) { disk in
        try disk.mount("ext4")
        let server = "https://127.0.0.1:\(bench.port)"
        let good = try await Self.examine(
          disk, server: server, connection: bench.connection, key: bench.key, hook: ("pre-app", 0o700))
        #expect(good.filter { $0.grade == .stop } == [])
        #expect(good.exitCode < 2)
        func grade(_ findings: [Finding], _ area: Finding.Area) -> Set<Finding.Grade> {
          Set(findings.filter { $0.area == area }.map(\.grade))
        }
        for area in [Finding.Area.tracking, .persistence, .freezing, .hooks, .memory, .clock, .names, .service] {
          #expect(grade(good, area) == [.ok], "\(area)")
        }
        #expect(good.first { $0.area == .tracking }?.text.hasPrefix("tp_btf works; tracepoint works, too; ") == true)

        let bad = try await Self.examine(
          disk, server: server, connection: ConnectionSettings(authority: try Self.foreignCA()), key: bench.key,
          hook: ("pre-app", 0o722))
        #expect(grade(bad, .service) == [.stop])
        #expect(bad.first { $0.area == .service }?.text.contains("certificate") == true)
        #expect(grade(bad, .hooks) == [.stop])
        #expect(bad.exitCode == 2)

        bench.killGateway()
        let alone = try await Self.examine(
          disk, server: server, connection: bench.connection, key: bench.key, hook: ("whenever", 0o700))
        #expect(alone.first { $0.area == .service }?.text.contains("cannot connect") == true)
        #expect(grade(alone, .hooks) == [.warn])
      }
    }
  }

  private static func foreignCA() throws -> String {
    let folder = "/var/tmp/godwit-test-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try CertificateAuthority.open(folder: folder).certificatePEM
  }
}
