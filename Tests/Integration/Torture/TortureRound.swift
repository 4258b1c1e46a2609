import Blocks
import Foundation
import Replication
import Simulation
import Source
import Testing
import Wire

/// One filesystem under one load: synced, then tracked beside a copy, then synced at rest.
struct TortureRound {
  static let filesystems = ["ext4", "xfs", "btrfs"]
  static let loads: [Set<WriteLoad.Kind>] = WriteLoad.Kind.allCases.map { [$0] } + [Set(WriteLoad.Kind.allCases)]

  let filesystem: String
  let load: Set<WriteLoad.Kind>
  let tally: TortureTally

  /// - Parameter seconds: of load, for each of the two halves.
  func run(seconds: Int) async throws {
    // The least that mkfs.xfs takes, and what btrfs needs for metadata that is kept twice.
    try await LoopDisk.with(size: filesystem == "btrfs" ? 448 << 20 : 320 << 20) { disk in
      try disk.mount(filesystem)
      try await SyncBench.with(size: filesystem == "btrfs" ? 448 << 20 : 320 << 20) { bench in
        var sync = try TortureSync(disk, bench, tally)
        defer { sync.end() }
        try await sync.full()
        let writers = try WriteLoad(in: disk.mountPoint, kinds: load)
        defer { writers.stop() }
        let half = ContinuousClock.now + .seconds(seconds)
        repeat { try await sync.delta() } while .now < half
        try follow(disk, until: .now + .seconds(seconds))
        let ended = writers.stop()
        if !ended.isEmpty { tally.fault("\(filesystem): writers ended by themselves: \(ended)") }
        try await sync.settle()
      }
    }
  }

  /// Keeps a copy by the tracker alone and compares every block at frozen points.
  private func follow(_ disk: LoopDisk, until end: ContinuousClock.Instant) throws {
    let mounted = try #require(MountedFilesystem.on(disks: [disk.name]).first)
    var rungs = [TrackingRung.typed, .perf].shuffled()
    while .now < end {
      rungs.append(rungs.removeFirst())
      let tracker = try KernelTracker(disks: [disk.name], rungs: [rungs[0]])
      defer { tracker.stop() }
      do {
        // Copying the disk is the first chance to lose an event.
        var brute = try BruteForce(tracker, path: disk.path)
        defer { note(brute, rungs[0]) }
        while .now < end {
          for _ in 0..<Int.random(in: 1...4) {
            usleep(.random(in: 20_000...200_000))
            try brute.follow()
          }
          try brute.compare(mounted)
        }
      } catch let reason as VoidReason { tally.void(reason) }
    }
  }

  private func note(_ brute: BruteForce, _ rung: TrackingRung) {
    for block in brute.missed { tally.miss("\(rung.rawValue) on \(filesystem) under \(load): block \(block)") }
    tally.add {
      $0.points += brute.comparisons
      $0.named += brute.named
      $0.changed += brute.differing
    }
  }
}

/// A small disk under a light load, whose agents, gateways and storage daemons are killed all the time.
struct TortureKills {
  let tally: TortureTally

  /// - Parameter kills: of agents, for each of the syncs.
  func run(syncs: Int, kills: Int) async throws {
    let size: UInt64 = 64 << 20
    try await LoopDisk.with(size: size) { disk in
      try disk.mount("ext4")
      try await SyncBench.with(size: size) { bench in
        try await StorageDaemon.with(file: bench.replica, folder: bench.folder) { daemon in
          var sync = try TortureSync(disk, bench, tally, daemon: daemon)
          defer { sync.end() }
          try await sync.full()
          let writers = try WriteLoad(in: disk.mountPoint, kinds: [.files, .synced])
          defer { writers.stop() }
          for _ in 0..<syncs { try await sync.storm(kills: kills) }
        }
      }
    }
  }
}

/// Harm that is done on purpose, and must be found.
enum TortureControls {
  static func loseEvents(_ tally: TortureTally, trials: Int = 2) throws {
    for rung in [TrackingRung.typed, .perf] {
      let caught = try LossTests.lossesCaught(trials: trials, rung)
      tally.add { $0.losses = ($0.losses.caught + caught, $0.losses.made + trials) }
    }
  }

  /// Flips a bit of each of 200 leaves of a volume between its last flush and its seal.
  static func flipBits(_ tally: TortureTally) async throws {
    let lab = try GatewayLab(in: LoopDisk.place)
    defer { try? FileManager.default.removeItem(atPath: lab.folder) }
    let (part, parts, flips) = (16, 32, 200)
    let volume = try lab.volume("flipped", size: UInt64(part * parts) * Leaf.size)
    let content = TestFrame.leaves(part, seed: .random(in: 1 ... .max))
    let leaves = (0..<UInt64(part * parts)).shuffled().prefix(flips).sorted()
    let found = try await lab.withGateway { gateway in
      try await gateway.withSource(session: "s1", disks: [volume]) { source in
        try await source.open()
        for index in 0..<parts { try await source.write(content, leaf: UInt64(index * part)) }
        try await source.flush()
        let file = try FileHandle(forUpdating: URL(filePath: volume.location))
        for leaf in leaves {
          let place = leaf * Leaf.size + .random(in: 0..<Leaf.size)
          try file.seek(toOffset: place)
          try file.write(contentsOf: [content[Int(place) % content.count] ^ (1 << UInt8.random(in: 0..<8))])
        }
        try file.close()
        let answer = try await source.seal()
        #expect(answer.state == .mismatched)
        #expect(Set(answer.mismatches).isSubset(of: leaves.map { [0, $0] }), "a leaf was accused that is right")
        return Set(answer.mismatches).count
      }
    }
    tally.add { $0.flips = ($0.flips.found + found, $0.flips.made + flips) }
    if found != flips { tally.fault("of \(flips) flipped bits \(found) were found") }
  }

  /// Runs seeds that `make test` does not.
  /// - Returns: the next one.
  static func simulate(_ tally: TortureTally, from first: UInt64, for duration: Duration) -> UInt64 {
    let end = ContinuousClock.now + duration
    var seed = first
    repeat {
      do { _ = try Simulation.run(seed: seed) } catch { tally.fault("\(error)") }
      tally.add { $0.seeds += 1 }
      seed += 1
    } while .now < end
    return seed
  }
}
