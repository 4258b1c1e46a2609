import Foundation
import ServiceKit
import Source
import Testing
import Wire

/// What can happen to a source's disk, through the whole platform: the sync fails and says what to do, the last point
/// stays, and once it is mended the next sync goes on.
@Suite(.timeLimit(.minutes(3)), .serialized) struct DiskFaultTests {
  private static let size: UInt64 = 32 << 20

  /// A loop device with random bytes in its first half, moved by the agent's own Linux source up to its first point.
  private func withDisk(
    limits: SyncCommand.Limits? = nil,
    _ body: @escaping @Sendable (Platform, LoopDisk, MigrationAPI.Migration) async throws -> Void
  ) async throws {
    try await LoopDisk.with(size: Self.size) { loop in
      try Self.write(loop, megabytes: 0..<16)
      try await Platform.with { platform in
        let identity = try await platform.enrol(
          token: try await platform.token(), connection: platform.connection,
          disk: OneDiskMachine.disk(loop.name, size: Self.size))
        let machine = OneDiskMachine(linuxIn: platform.plane.folder)
        defer { machine.end() }
        try await platform.withAgent(identity, machine) {
          let migration = try await platform.migration(of: identity, limits: limits)
          let first = try await platform.owner.migration(migration.id) { $0.state == .insync || $0.problem != nil }
          #expect(first.problem == nil)
          try await body(platform, loop, migration)
        }
      }
    }
  }

  /// Random bytes past the page cache, as the owner of the disk would write them.
  private static func write(_ loop: LoopDisk, megabytes: Range<Int>) throws {
    try run(
      "dd", "if=/dev/urandom", "of=\(loop.path)", "bs=1M", "seek=\(megabytes.lowerBound)",
      "count=\(megabytes.count)", "oflag=direct", "conv=notrunc", "status=none")
  }

  /// The failed sync's problem; the points are as before.
  private func failure(
    _ platform: Platform, _ migration: MigrationAPI.Migration, mode: SyncCommand.Mode
  ) async throws -> (code: String, text: String) {
    let points = try await platform.owner.points(migration.id)
    let sync = try await platform.sync(migration.id, mode: mode)
    #expect(sync.state == .failed)
    #expect(try await platform.owner.points(migration.id) == points, "the last point stays")
    let seen: MigrationAPI.Migration = try await platform.owner.get("migrations/\(migration.id)")
    #expect(seen.state == .attention && seen.problem?.code == sync.problem?.code)
    return (sync.problem?.code ?? "", "\(sync.problem?.detail ?? "") \(sync.problem?.remedy ?? "")")
  }

  private func expectGoesOn(
    _ platform: Platform, _ loop: LoopDisk, _ migration: MigrationAPI.Migration
  ) async throws {
    let before = try await platform.owner.points(migration.id).count
    let sync = try await platform.sync(migration.id)
    #expect(sync.state == .done, "\(sync)")
    #expect(try await platform.owner.points(migration.id).count == before + 1)
    let seen: MigrationAPI.Migration = try await platform.owner.get("migrations/\(migration.id)")
    #expect(seen.state == .insync && seen.problem == nil)
    try run("cmp", loop.path, try platform.replica(migration))
  }

  @Test func `An unreadable place fails the sync with its byte, and the last point stays`() async throws {
    try await withDisk { platform, loop, migration in
      // The kernel answers EIO beyond the end of a loop device's file: real bad sectors from there on.
      // In the last frame, so that only one read meets them.
      let bad = UInt64(31 << 20) + 5 * 4096
      try run("cp", loop.image, loop.folder + "/whole.img")
      try run("truncate", "-s", "\(bad)", loop.image)
      let (code, text) = try await failure(platform, migration, mode: .compare)
      #expect(code == "disk_read_error", "\(text)")
      #expect(text.contains("at byte \(bad):") && text.contains(loop.name), "\(text)")
      #expect(text.contains("smartctl"), "\(text)")
      try run("dd", "if=\(loop.folder)/whole.img", "of=\(loop.image)", "bs=1M", "conv=notrunc", "status=none")
      try await expectGoesOn(platform, loop, migration)
    }
  }

  @Test func `A disk that is pulled out fails the sync, and is welcome when it is back`() async throws {
    try await withDisk { platform, loop, migration in
      try run("cp", loop.image, loop.folder + "/whole.img")
      try run("truncate", "-s", "0", loop.image)
      try run("losetup", "--set-capacity", loop.path)
      let (code, text) = try await failure(platform, migration, mode: .compare)
      #expect(code == "disk_vanished", "\(text)")
      #expect(text.contains("attach the disk again") && text.contains(loop.name), "\(text)")
      try run("dd", "if=\(loop.folder)/whole.img", "of=\(loop.image)", "bs=1M", "status=none")
      try run("losetup", "--set-capacity", loop.path)
      try await expectGoesOn(platform, loop, migration)
    }
  }

  @Test func `A disk that is pulled out in the middle of a sync fails it, and is welcome when it is back`() async throws
  {
    // Slow enough that there is a middle.
    try await withDisk(limits: .init(link: 14 << 20)) { platform, loop, migration in
      let points = try await platform.owner.points(migration.id)
      try Self.write(loop, megabytes: 16..<32)
      let owner = platform.owner
      let begun: MigrationAPI.Sync = try await owner.post("migrations/\(migration.id)/syncs", MigrationAPI.SyncWish())
      let replica = try platform.replica(migration)
      for _ in 0..<1000 where try allocatedBytes(of: replica) < 20 << 20 {
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(try allocatedBytes(of: replica) < 28 << 20, "it is in the middle")
      try loop.pull()
      let failed = try await owner.until("syncs/\(begun.id)", as: MigrationAPI.Sync.self) { $0.endedAt != nil }
      #expect(failed.state == .failed && failed.problem?.code == "disk_vanished", "\(failed)")
      #expect(failed.problem?.detail.contains("attach the disk again") == true, "\(failed)")
      #expect(failed.problem?.detail.contains(loop.name) == true, "\(failed)")
      #expect(try await owner.points(migration.id) == points, "the last point stays")
      try loop.putBack()
      try await expectGoesOn(platform, loop, migration)
    }
  }

  @Test func `A disk that shrank is refused, with what to do`() async throws {
    try await withDisk { platform, loop, migration in
      try run("truncate", "-s", "\(Self.size / 2)", loop.image)
      try run("losetup", "--set-capacity", loop.path)
      let (code, text) = try await failure(platform, migration, mode: .delta)
      #expect(code == "disk_resized", "\(text)")
      #expect(text.contains("had \(Self.size) bytes") && text.contains("start a new migration"), "\(text)")
    }
  }
}
