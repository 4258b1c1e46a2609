import Evidence
import Foundation
import ServiceKit
import Source
import Testing
import Volumes
import Wire

/// Evidence and the re-reading of points as an owner asks for them: by the program, from the whole platform.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PlatformEvidenceTests {
  private static let size: UInt64 = (4 << 20) + 4096

  @Test func `godwit gets a point's evidence and has the point re-read; one bit less, and both say so`() async throws {
    try await Platform.with { platform in
      let file = platform.plane.folder + "/source.raw"
      try Data((0..<Self.size / 4096).flatMap { [UInt8](repeating: UInt8($0 % 251), count: 4096) })
        .write(to: URL(filePath: file))
      let identity = try await platform.enrol(
        token: try await platform.token(), connection: platform.connection,
        disk: OneDiskMachine.disk("file", size: Self.size))
      try await platform.withAgent(identity, OneDiskMachine(try TrackedFile(path: file))) {
        let migration = try await platform.migration(of: identity)
        let seen = try await platform.owner.migration(migration.id) { $0.state == .insync || $0.problem != nil }
        #expect(seen.problem == nil)
        let path = platform.plane.folder + "/point.evidence"
        let gotten = try platform.godwit(["evidence", "get", "web", "--output", path])
        #expect(gotten.status == 0, "\(gotten.output)")
        let checked = try EvidenceCheck(authority: platform.lab.authority.certificatePEM).check(
          [UInt8](Data(contentsOf: URL(filePath: path))))
        let point = try #require(try await platform.owner.points(migration.id).first)
        #expect(checked.point.point == point.id && checked.agent.source == identity.credential.source)

        let right = try platform.godwit(["verify", "web"])
        #expect(right.status == 0 && right.output.hasPrefix("right: 65 leaves re-read"), "\(right)")
        let snapshot = try onlyFile(platform.plane.folder + "/cloud/snapshots")
        try flip(snapshot, at: 3_000_001)
        let damaged = try platform.godwit(["verify", "web"])
        #expect(damaged.status == 1 && damaged.output.hasPrefix("DAMAGED: 1 of 65 leaves differ"), "\(damaged)")
        let found = try await platform.owner.get("points/\(point.id)", as: MigrationAPI.Point.self)
        #expect(found.check?.state == .differs && found.check?.differing == 1)
        let events = try await platform.owner.events(migration.id)
        #expect(events.contains("point_verified") && events.contains("point_damaged"))
        try await expectNoClones(platform)

        // The next point is made after everything was read back, and is right; the evidence of the damaged one stays.
        let next = try platform.godwit(["verify", "web", "--full"])
        #expect(next.output.contains("nothing differs"), "\(next)")
        let newest = try platform.godwit(["verify", "web"])
        #expect(newest.status == 0, "\(newest)")
        #expect(try platform.godwit(["evidence", "get", "web", "--point", point.id, "--output", path]).status == 0)
      }
    }
  }

  /// What was read is removed again.
  private func expectNoClones(_ platform: Platform) async throws {
    var left = try await platform.owner.ledger()
    for _ in 0..<200 where left.count(where: { $0.kind == .volume }) > 1 {
      try await Task.sleep(for: .milliseconds(30))
      left = try await platform.owner.ledger()
    }
    #expect(left.count(where: { $0.kind == .volume }) == 1, "the replica alone: \(left)")
  }

  private func onlyFile(_ folder: String) throws -> String {
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
    guard files.count == 1, let file = files.first else { throw BenchFailure(what: "\(folder): \(files)") }
    return folder + "/" + file
  }

  private func flip(_ path: String, at offset: UInt64) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    defer { try? file.close() }
    try file.seek(toOffset: offset)
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: offset)
    try file.write(contentsOf: [byte ^ 4])
  }
}
