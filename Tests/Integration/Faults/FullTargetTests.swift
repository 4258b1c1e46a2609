import Foundation
import ServiceKit
import Source
import Testing
import Wire

/// The store behind a target's volume fills up in the middle of a whole sync, and later there is room again.
@Suite(.timeLimit(.minutes(3)), .serialized) struct FullTargetTests {
  private static let megabyte: UInt64 = 1 << 20

  /// A thin volume, as clouds have them: qcow2 behind a storage daemon, on a filesystem that is smaller than the disk.
  @Test func `A full sync onto a store that fills up ends as target_full, and goes on once the store has grown`()
    async throws
  {
    let size = 96 * Self.megabyte
    try await SyncBench.with(size: size) { bench in
      try run("dd", "if=/dev/urandom", "of=\(bench.source)", "bs=1M", "count=96", "conv=notrunc", "status=none")
      try await SmallStore.with(megabytes: 64, folder: bench.folder) { store in
        let image = store.path + "/volume.qcow2"
        try run("qemu-img", "create", "-q", "-f", "qcow2", image, "\(size)")
        try await StorageDaemon.with(file: image, format: .qcow2, folder: bench.folder) { daemon in
          let full = await sync(bench, try bench.command(.full, session: "s1", location: daemon.location))
          #expect(full.failure?.code == "target_full", "\(full) \(bench.log)")
          #expect(full.failure?.message.contains("give the target more space") == true, "\(full)")
          let settled = full.progress?.doneBytes ?? 0
          #expect(settled >= 32 * Self.megabyte, "what was flushed before stays settled: \(full)")
          // Without room it ends in the same way.
          let again = await sync(bench, try bench.command(.full, session: "s2", location: daemon.location))
          #expect(again.failure?.code == "target_full", "\(again) \(bench.log)")

          try store.grow(megabytes: 128)
          let rest = await sync(bench, try bench.command(.full, session: "s3", location: daemon.location))
          #expect(rest.state == .done, "\(rest) \(bench.log)")
          let sent = rest.progress?.sentBytes ?? size
          #expect(sent <= size - settled, "\(sent) bytes sent, although \(settled) were settled")
          try run("qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", bench.source, image)
        }
      }
    }
  }

  /// Volume and the gateway's own folder share a filesystem, as on a single machine.
  @Test func `A gateway whose own folder is on the full store says so, too, and goes on once the store has grown`()
    async throws
  {
    let place = LoopDisk.place + "/godwit-store-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: place) }
    try await SmallStore.with(megabytes: 48, folder: place) { store in
      let size = 64 * Self.megabyte
      try await SyncBench.with(size: size, gateway: ["--state", store.path + "/state"]) { bench in
        let replica = store.path + "/replica.raw"
        try run("truncate", "-s", "\(size)", replica)
        try run("dd", "if=/dev/urandom", "of=\(bench.source)", "bs=1M", "count=64", "conv=notrunc", "status=none")
        let full = await sync(bench, try bench.command(.full, session: "s1", location: replica))
        #expect(full.failure?.code == "target_full", "\(full) \(bench.log)")
        store.fillUp()
        let again = await sync(bench, try bench.command(.full, session: "s2", location: replica))
        #expect(again.failure?.code == "target_full", "\(again) \(bench.log)")
        try store.grow(megabytes: 128)
        let rest = await sync(bench, try bench.command(.full, session: "s3", location: replica))
        #expect(rest.state == .done, "\(rest) \(bench.log)")
        let progress = try #require(full.progress)
        #expect(progress.doneBytes >= 32 * Self.megabyte)
        #expect((rest.progress?.sentBytes ?? size) <= size - progress.doneBytes, "\(rest)")
        try run("cmp", bench.source, replica)
      }
    }
  }

  private func sync(_ bench: SyncBench, _ command: SyncCommand) async -> AgentReport {
    // So slow that a flush ends before the store is full.
    var command = command
    command.limits.link = 40 << 20
    // What is not told at once as a full target is not waited for.
    var patience = SyncPatience()
    patience.outage = .seconds(2)
    return await bench.runner(patience: patience).run(
      command, id: "c", source: try TrackedFile(path: bench.source), interval: .seconds(1), report: { _ in })
  }

  /// Through the whole platform: the replica lies on a disk of its own, the cloud keeps its snapshots elsewhere.
  @Test func `A full target fails the sync, the last point stays and is right, and the next sync goes on`() async throws
  {
    try await LoopDisk.with(size: 128 * Self.megabyte) { store in
      try store.mount("ext4")
      try FileManager.default.removeItem(atPath: store.mountPoint + "/lost+found")
      try await Platform.with { platform in
        let volumes = platform.plane.folder + "/cloud/volumes"
        try FileManager.default.removeItem(atPath: volumes)
        try FileManager.default.createSymbolicLink(atPath: volumes, withDestinationPath: store.mountPoint)
        let path = platform.plane.folder + "/source.raw"
        try run("dd", "if=/dev/urandom", "of=\(path)", "bs=1M", "count=16", "status=none")
        try run("truncate", "-s", "96M", path)
        let file = try TrackedFile(path: path)
        let identity = try await platform.enrol(
          token: try await platform.token(), connection: platform.connection,
          disk: OneDiskMachine.disk("file", size: 96 * Self.megabyte))
        try await platform.withAgent(identity, OneDiskMachine(file)) {
          // So slow that a flush ends before the store is full.
          let migration = try await platform.migration(of: identity, limits: .init(link: 24 << 20))
          let first = try await platform.owner.migration(migration.id) { $0.state == .insync || $0.problem != nil }
          #expect(first.problem == nil)
          let noise = try FileHandle(forReadingFrom: URL(filePath: "/dev/urandom"))
          for megabyte in 16..<80 as Range<UInt64> {
            try file.write([UInt8](noise.read(upToCount: 1 << 20) ?? Data()), at: megabyte << 20)
          }
          let filler = try Self.fill(store, leavingMegabytes: 56)
          let left = try await expectFull(platform, migration)
          #expect(left <= 32 * Self.megabyte, "what was flushed before stays settled: \(left) bytes are left of 64 MiB")
          try FileManager.default.removeItem(atPath: filler)
          try await expectGoesOn(platform, migration, file: path, left: left)
        }
      }
    }
  }

  private static func fill(_ store: LoopDisk, leavingMegabytes: Int) throws -> String {
    let attributes = try FileManager.default.attributesOfFileSystem(forPath: store.mountPoint)
    let free = (attributes[.systemFreeSize] as? NSNumber)?.intValue ?? 0
    try run("fallocate", "-l", "\(free - leavingMegabytes << 20)", store.mountPoint + "/filler")
    return store.mountPoint + "/filler"
  }

  /// The sync fails; the point before it can still be proven. Returns the bytes that are not settled.
  private func expectFull(_ platform: Platform, _ migration: MigrationAPI.Migration) async throws -> UInt64 {
    let points = try await platform.owner.points(migration.id)
    let failed = try await platform.sync(migration.id)
    #expect(failed.state == .failed && failed.problem?.code == "target_full", "\(failed)")
    #expect(failed.problem?.detail.contains("give the target more space") == true, "\(failed)")
    #expect(failed.problem?.remedy.contains("goes on from what was settled") == true, "\(failed)")
    let seen: MigrationAPI.Migration = try await platform.owner.get("migrations/\(migration.id)")
    #expect(seen.state == .attention && seen.problem?.code == "target_full")
    #expect(try await platform.owner.points(migration.id) == points, "the last point stays")
    let evidence = platform.plane.folder + "/point.evidence"
    let gotten = try platform.godwit(["evidence", "get", "web", "--output", evidence])
    #expect(gotten.status == 0, "\(gotten.output)")
    let snapshots = platform.plane.folder + "/cloud/snapshots"
    let snapshot = snapshots + "/" + (try #require(FileManager.default.contentsOfDirectory(atPath: snapshots).first))
    let checked = try platform.godwit([
      "evidence", "check", evidence, "--ca", platform.lab.path("ca/ca.pem"), "--volume", "file=" + snapshot
    ])
    #expect(checked.status == 0, "\(checked.output)")
    let progress = try #require(failed.progress)
    return progress.usedBytes - progress.doneBytes
  }

  private func expectGoesOn(
    _ platform: Platform, _ migration: MigrationAPI.Migration, file: String, left: UInt64
  ) async throws {
    let sync = try await platform.sync(migration.id)
    #expect(sync.state == .done && sync.progress?.mode == .delta, "\(sync)")
    #expect((sync.progress?.sentBytes ?? .max) <= left, "\(sync), although \(left) bytes were left")
    #expect(try await platform.owner.points(migration.id).count == 2)
    let seen: MigrationAPI.Migration = try await platform.owner.get("migrations/\(migration.id)")
    #expect(seen.state == .insync && seen.problem == nil)
    try run("cmp", file, try platform.replica(migration))
  }
}
