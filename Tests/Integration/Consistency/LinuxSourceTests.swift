import Foundation
import Glibc
import Replication
import Testing

@testable import Source

/// A disk with a frozen filesystem and, beside it, what cannot be frozen.
@Suite("The instant of a whole disk", .serialized, .timeLimit(.minutes(3)))
struct LinuxSourceTests {
  private static let mebibyte: UInt64 = 1 << 20
  /// Partition 2: nothing is mounted from it. Partition 3: a swap area.
  private static let raw = 129 * mebibyte..<161 * mebibyte
  private static let swap = 161 * mebibyte..<193 * mebibyte

  private struct Bench {
    var disk: LoopDisk
    var source: LinuxSource
    var places: AgentPlaces

    /// Writes to the raw partition, past every cache.
    func writeRaw(megabyte: Int = 3) throws {
      let before = try LoopDisk.sectorsWritten(disk.partition(2))
      try run(
        "dd", "if=/dev/urandom", "of=\(disk.partition(2))", "bs=64K", "count=1", "seek=\(megabyte * 16)",
        "oflag=direct",
        "conv=notrunc,nocreat")
      #expect(try LoopDisk.sectorsWritten(disk.partition(2)) == before + 128)
    }

    /// Makes the kernel write to the swap area.
    func swapOut() throws {
      let before = try LoopDisk.sectorsWritten(disk.partition(3))
      // 21: MADV_PAGEOUT. The kernel counts a write once it is done, which may be a moment later.
      let script =
        "import mmap,os,time; m = mmap.mmap(-1, 8 << 20); m.write(os.urandom(8 << 20)); m.madvise(21); time.sleep(0.3)"
      for _ in 0..<10 where try LoopDisk.sectorsWritten(disk.partition(3)) == before {
        try run("python3", "-c", script)
      }
      try #require(try LoopDisk.sectorsWritten(disk.partition(3)) > before, "nothing was swapped out")
    }

    /// Freezes, and takes what the instant begins with.
    func begin(hold: Bool = false) throws {
      _ = try source.freeze(hold: hold)
      _ = try taken()
    }

    func taken(syncFirst: Bool = false) throws -> [Range<UInt64>] {
      switch source.take(syncFirst: syncFirst) {
      case .taken(let extents): return extents.map(\.range)
      case .lost(let reason): throw ProgramFailed(description: "tracking was lost: \(reason)")
      case .failed(let failure): throw failure
      }
    }

    /// Whether the filesystem takes a write now.
    func isThawed() throws -> Bool {
      let writer = start("touch", [disk.mountPoint + "/probe"])
      try writer.run()
      for _ in 0..<40 where writer.isRunning { usleep(50_000) }
      if writer.isRunning { return false }
      return writer.terminationStatus == 0
    }
  }

  private func withBench(swap: Bool = true, _ body: (Bench) throws -> Void) throws {
    try LoopDisk.with(size: 200 << 20) { disk in
      try disk.makePartitions([128, 32, 32])
      defer { disk.removePartitions() }
      try run("mkfs.ext4", "-qF", disk.partition(1))
      try run("mount", disk.partition(1), disk.mountPoint)
      defer { disk.unmount() }
      if swap {
        try run("mkswap", "-q", disk.partition(3))
        try run("swapon", "-p", "32000", disk.partition(3))
      }
      defer { if swap { _ = try? run("swapoff", disk.partition(3)) } }
      var places = AgentPlaces()
      places.volatile = "/dev/shm/godwit-test-\(UUID().uuidString.prefix(8))"
      places.configuration = disk.folder
      defer { try? FileManager.default.removeItem(atPath: places.volatile) }
      let source = try LinuxSource(disks: [disk.name], places: places, migration: "m1")
      defer { source.stop() }
      let prepared = try source.prepare(restart: true)
      #expect(prepared.voided == nil)
      source.begin(session: "s1")
      source.mark([Extent(disk: 0, range: 0..<200 << 20)], establishes: true)
      let bench = Bench(disk: disk, source: source, places: places)
      defer { _ = source.thaw() }
      _ = try bench.taken(syncFirst: true)
      try body(bench)
    }
  }

  @Test("Every device has its level, with the reason where nothing could be frozen")
  func levels() throws {
    try withBench { bench in
      try bench.begin()
      #expect(try bench.isThawed() == false)
      #expect(bench.source.thaw())
      #expect(
        bench.source.consistency == [
          "\(bench.disk.name)p1": "filesystem", "\(bench.disk.name)p2": "crash: nothing is mounted from it",
          "\(bench.disk.name)p3": "crash: swap"
        ])
    }
  }

  @Test("A write to a raw partition voids the instant, is taken next, and stays marked")
  func torn() throws {
    try withBench { bench in
      try bench.begin()
      try bench.writeRaw()
      // As if the instant's own bytes had been settled.
      #expect(!bench.source.thaw())
      bench.source.settle([Extent(disk: 0, range: 0..<200 << 20)])
      let place = Self.raw.lowerBound + 3 * Self.mebibyte
      #expect(try bench.taken().contains(place..<place + 65536))
      // Another sync of the same marks is told of it again.
      #expect(try bench.source.prepare(restart: false).voided == nil)
      #expect(try bench.taken().contains(place..<place + 65536))
      // The next one is quiet.
      try bench.begin()
      #expect(bench.source.thaw())
    }
  }

  @Test("What is written all the time ends the sync and is named")
  func neverQuiet() throws {
    // Every such instant is a stalled round, too, and those would not be named.
    #expect(LinuxSource.patience.delta < SyncMachine.Settings().stalledRounds)
    try withBench { bench in
      for round in 0..<LinuxSource.patience.delta {
        _ = try bench.taken(syncFirst: true)
        try bench.begin()
        try bench.writeRaw(megabyte: round)
        #expect(!bench.source.thaw())
      }
      let failure = #expect(throws: SyncFailure.self) { try bench.taken(syncFirst: true) }
      #expect(failure?.code == "not_quiet")
      #expect(failure?.message.hasPrefix("\(bench.disk.name)p2 cannot be frozen") == true)
      // A new session begins to count anew.
      bench.source.begin(session: "s2")
      #expect(try !bench.taken(syncFirst: true).isEmpty)
    }
  }

  @Test("Swapping voids nothing")
  func swapping() throws {
    try withBench { bench in
      try bench.begin()
      try bench.swapOut()
      #expect(bench.source.thaw())
      let next = try bench.taken()
      #expect(next.contains { Self.swap.overlaps($0) }, "it is sent with the next point")
    }
  }

  @Test("A final sync takes what is written beside the frozen until nothing is, and leaves swap alone")
  func finalSync() throws {
    try withBench { bench in
      try bench.begin(hold: true)
      try bench.writeRaw()
      #expect(try bench.taken().count == 1)
      try bench.swapOut()
      #expect(try bench.taken().isEmpty)
      #expect(try bench.source.commit())
      #expect(bench.source.hasCommitted(session: "s1"))
      #expect(FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: [bench.disk.name])) == [bench.disk.mountPoint])
    }
  }

  @Test("A write between the last take and the seal of a final sync is no seal, and everything thaws")
  func lateWrite() throws {
    try withBench { bench in
      try bench.begin(hold: true)
      #expect(try bench.taken().isEmpty)
      try bench.writeRaw()
      let failure = #expect(throws: SyncFailure.self) { try bench.source.commit() }
      #expect(failure?.code == "not_quiet")
      #expect(!bench.source.hasCommitted(session: "s1"))
      #expect(try bench.isThawed())
    }
  }

  @Test("A final sync of a disk that is always written ends in time")
  func finalNeverQuiet() throws {
    try withBench(swap: false) { bench in
      try bench.begin(hold: true)
      let failure = #expect(throws: SyncFailure.self) {
        for _ in 0...LinuxSource.patience.final {
          try bench.writeRaw()
          _ = try bench.taken()
        }
      }
      #expect(failure?.code == "not_quiet")
      _ = bench.source.thaw()
      #expect(try bench.isThawed())
    }
  }

  @Test("A final sync does not begin where its note would wait for a frozen filesystem")
  func noteOnFrozen() throws {
    try withBench(swap: false) { bench in
      var places = bench.places
      places.volatile = bench.disk.mountPoint + "/run"
      let source = try LinuxSource(disks: [bench.disk.name], places: places, migration: "m1")
      defer { source.stop() }
      let failure = #expect(throws: SyncFailure.self) { _ = try source.freeze(hold: true) }
      #expect(failure?.code == "freeze_failed" && failure?.message.contains("tmpfs") == true)
      #expect(try bench.isThawed())
    }
  }

  @Test("Half of a btrfs is refused, the whole is frozen on both of its disks")
  func pool() throws {
    try LoopDisk.with(size: 200 << 20) { first in
      try LoopDisk.with(size: 200 << 20) { second in
        try run("mkfs.btrfs", "-qf", "-d", "raid1", "-m", "raid1", first.path, second.path)
        try run("mount", first.path, first.mountPoint)
        defer { first.unmount() }
        var places = AgentPlaces()
        places.volatile = "/dev/shm/godwit-test-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: places.volatile) }
        for disk in [first, second] {
          let half = try LinuxSource(disks: [disk.name], places: places, migration: "m1")
          defer { half.stop() }
          let failure = #expect(throws: SyncFailure.self) { try half.prepare(restart: true) }
          #expect(failure?.code == "disk_missing")
        }
        let whole = try LinuxSource(disks: [first.name, second.name], places: places, migration: "m1")
        defer { whole.stop() }
        _ = try whole.prepare(restart: true)
        _ = try whole.freeze(hold: false)
        guard case .taken = whole.take(syncFirst: false) else {
          Issue.record("tracking was lost")
          return
        }
        #expect(whole.thaw())
        #expect(whole.consistency == [first.name: "filesystem", second.name: "filesystem"])
      }
    }
  }

  @Test("Hooks after an instant that an earlier life owed run once at the next start; what a hook printed is reported")
  func owedHooks() throws {
    try withBench(swap: false) { bench in
      let folder = bench.places.hooks
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      func hook(_ name: String, _ script: String) throws {
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: "\(folder)/\(name)"))
        chmod("\(folder)/\(name)", 0o755)
      }
      try hook("pre-1", "echo pre >>\(bench.disk.folder)/log")
      try hook("post-1", "echo post >>\(bench.disk.folder)/log")
      func log() throws -> String { try String(contentsOfFile: bench.disk.folder + "/log", encoding: .utf8) }
      #expect(try OwedHooks(places: bench.places).runPre(switching: false))
      #expect(OwedHooks(places: bench.places).runOwed())
      #expect(try log() == "pre\npost\n")
      #expect(!OwedHooks(places: bench.places).runOwed())
      try bench.begin()
      #expect(bench.source.thaw())
      #expect(bench.source.consistency["\(bench.disk.name)p1"] == "application")
      #expect(try log() == "pre\npost\npre\npost\n")
      #expect(!OwedHooks(places: bench.places).runOwed())

      try hook("pre-2", "head -c 100000 /dev/zero | tr '\\0' x; echo the end; exit 3")
      let failure = #expect(throws: SyncFailure.self) { _ = try bench.source.freeze(hold: false) }
      #expect(failure?.code == "hook_failed" && failure?.message.contains("pre-2 failed with status 3") == true)
      #expect(failure?.output?.utf8.count == 64 << 10 && failure?.output?.hasSuffix("the end\n") == true)
      #expect(try log().hasSuffix("pre\npost\n"))
      #expect(try bench.isThawed())
    }
  }
}
