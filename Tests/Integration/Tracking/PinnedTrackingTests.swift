import Blocks
import CLinuxBlock
import Foundation
import Source
import Testing
import Volumes

@Suite("Tracking that outlives its process", .serialized, .timeLimit(.minutes(3)))
struct PinnedTrackingTests {
  /// A place for pins and their note that leaves nothing behind.
  private static func withKeeper<R>(_ body: (TrackingKeeper, String) async throws -> R) async throws -> R {
    let folder = "/run/godwit-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let keeper = keeper(folder)
    let result: Result<R, any Error>
    do { result = .success(try await body(keeper, folder)) } catch { result = .failure(error) }
    keeper.removeAll()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    try FileManager.default.removeItem(atPath: folder)
    return try result.get()
  }

  private static func keeper(
    _ folder: String, owner: String = "migration", memory: String? = nil
  ) -> TrackingKeeper {
    // No BPF filesystem lies above this: it has to mount its own.
    TrackingKeeper(
      pins: folder + "/none/godwit", ownMount: folder + "/bpf", note: folder + "/tracking.json", owner: owner,
      memory: memory)
  }

  /// What the process does that is killed: tracks, says that its maps are whole, takes and settles, until it dies by
  /// SIGKILL between a take and the settling of what it took. Leaves the replica as it knew it in a file.
  private static func life(disk: String, folder: String, rung: TrackingRung) throws {
    let tracker = try KernelTracker(disks: [disk], rungs: [rung], keeper: keeper(folder))
    guard tracker.newBecause != nil else { throw ProgramFailed(description: "adopted what nobody left") }
    var replica = try Replica(disk: disk)
    tracker.establish()
    for round in 0..<8 {
      usleep(100_000)
      // Void: the next process has to find that out by itself.
      guard case .dirty(let dirty) = tracker.take() else { break }
      let ranges = dirty.disks[0].ranges()
      if round == 7 {
        guard ranges.count > 1 else { throw ProgramFailed(description: "nothing was written") }
        try replica.save(folder + "/replica")
        // What was taken last is neither copied nor settled.
        break
      }
      try replica.copy(ranges)
      for range in ranges { tracker.settle(range, ofDisk: 0) }
    }
    kill(getpid(), SIGKILL)
  }

  @Test(
    "After SIGKILL between a take and its settling the next process goes on: every changed block is named, and no other",
    arguments: [TrackingRung.typed, .perf])
  func survivesKill(rung: TrackingRung) async throws {
    try await Self.withKeeper { keeper, folder in
      try await LoopDisk.with(size: 320 << 20) { disk in
        try disk.mount("ext4")
        var proven = 0
        for _ in 0..<12 where proven == 0 {
          try? FileManager.default.removeItem(atPath: folder + "/replica")
          let load = try WriteLoad(in: disk.mountPoint)
          defer { load.stop() }
          await #expect(processExitsWith: .signal(SIGKILL)) {
            [name = disk.name as String, folder = folder as String, rung = rung.rawValue as String] in
            try PinnedTrackingTests.life(disk: name, folder: folder, rung: TrackingRung(rawValue: rung)!)
          }
          // The writer goes on, and nobody is there.
          usleep(300_000)
          let tracker = try KernelTracker(disks: [disk.name], rungs: [rung], keeper: keeper)
          defer { tracker.stop() }
          let wasVoid = !FileManager.default.fileExists(atPath: folder + "/replica")
          if let reason = tracker.newBecause {
            // Kernels that skip programs now and then: it was noticed, and nothing was adopted.
            #expect(reason.contains("the tracker saw") || reason.contains("skipped"))
            print("not adopted:", reason)
            continue
          }
          #expect(tracker.isEstablished == !wasVoid, "what was void once is never built upon")
          if wasVoid { continue }
          #expect(tracker.rung == rung.rawValue)
          let replica = try [UInt8](Data(contentsOf: URL(filePath: folder + "/replica")))
          try FileManager.default.removeItem(atPath: folder + "/replica")
          let pending = tracker.pending()[0]
          #expect(!pending.isEmpty)
          #expect(pending.bytes < 32 << 20, "only what changed is pending")
          var brute = try BruteForce(tracker, path: disk.path, replica: replica)
          do {
            try brute.compare(try #require(MountedFilesystem.on(disks: [disk.name]).first))
            proven += 1
          } catch let reason as VoidReason { print("void:", reason) }
          #expect(brute.missed == [])
          #expect(brute.taken < 20_000, "only what changed is named")
        }
        try? FileManager.default.removeItem(atPath: folder + "/replica")
        #expect(proven == 1)
      }
    }
  }

  @Test("Another boot's, another owner's, a resized or a void tracking is not gone on with, and its pins are removed")
  func refusals() async throws {
    try await Self.withKeeper { keeper, folder in
      try LoopDisk.with(size: 64 << 20) { disk in
        func start(_ keeper: TrackingKeeper) throws -> KernelTracker {
          try KernelTracker(disks: [disk.name], rungs: [.perf], keeper: keeper)
        }
        func pins() throws -> [String] {
          try FileManager.default.contentsOfDirectory(atPath: folder + "/bpf/godwit")
        }
        func edit(_ from: String, _ to: String) throws {
          let path = folder + "/tracking.json"
          let text = try String(contentsOfFile: path, encoding: .utf8)
          #expect(text.contains(from))
          try text.replacingOccurrences(of: from, with: to).write(toFile: path, atomically: true, encoding: .utf8)
        }
        var tracker = try start(keeper)
        tracker.establish()
        let first = try pins()
        #expect(first.count == 1)
        // Goes on, also twice.
        for _ in 0..<2 {
          tracker = try start(keeper)
          #expect(tracker.newBecause == nil && tracker.isEstablished)
          #expect(try pins() == first)
        }
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
          .trimmingCharacters(in: .newlines)
        try edit("\"bootID\":\"\(boot)", "\"bootID\":\"0\(boot)")
        tracker = try start(keeper)
        #expect(tracker.newBecause?.contains("started anew") == true && !tracker.isEstablished)
        #expect(try pins().count == 1 && pins() != first)

        tracker = try start(Self.keeper(folder, owner: "another"))
        #expect(tracker.newBecause?.contains("another migration") == true)
        #expect(try pins().count == 1)

        tracker.establish()
        try edit("\"size\":67108864", "\"size\":67104768")
        tracker = try start(Self.keeper(folder, owner: "another"))
        #expect(tracker.newBecause?.contains("another size") == true)

        tracker.establish()
        try edit("\"headStart\":", "\"headStart\":-8")
        tracker = try start(Self.keeper(folder, owner: "another"))
        #expect(tracker.newBecause?.contains("sectors written") == true && !tracker.isEstablished)

        // A life that was cut short while it pinned.
        try FileManager.default.createDirectory(
          atPath: folder + "/bpf/godwit/half/\(disk.name)", withIntermediateDirectories: true)
        tracker = try start(Self.keeper(folder, owner: "another"))
        #expect(tracker.newBecause == nil)
        #expect(try pins().count == 1)
        tracker.stop()
        #expect(!FileManager.default.fileExists(atPath: folder + "/bpf/godwit"))
        #expect(!FileManager.default.fileExists(atPath: folder + "/tracking.json"))
      }
    }
  }
}

extension PinnedTrackingTests {
  @Test("Where it is not remembered which replica marks are of, they are not gone on with")
  func forgottenReplica() async throws {
    try await Self.withKeeper { _, folder in
      try LoopDisk.with(size: 64 << 20) { disk in
        let memory = folder + "/memory.json"
        let keeper = Self.keeper(folder, memory: memory)
        func life() throws -> KernelTracker { try KernelTracker(disks: [disk.name], rungs: [.perf], keeper: keeper) }
        let remembered = #"{"migration":{"replica":{"sealed":[""],"epoch":1},"carried":[]}}"#
        try life().establish()
        try remembered.write(toFile: memory, atomically: true, encoding: .utf8)
        var tracker = try life()
        #expect(tracker.newBecause == nil && tracker.isEstablished)
        for other in [nil, "{", remembered.replacingOccurrences(of: "migration", with: "another")] {
          try FileManager.default.removeItem(atPath: memory)
          try other?.write(toFile: memory, atomically: true, encoding: .utf8)
          tracker.establish()
          tracker = try life()
          #expect(tracker.newBecause?.contains("nothing is remembered of the replica") == true)
          #expect(!tracker.isEstablished)
          if other == nil { try remembered.write(toFile: memory, atomically: true, encoding: .utf8) }
        }
        try FileManager.default.removeItem(atPath: memory)
        tracker.stop()
      }
    }
  }
}

/// A copy of a disk as a process that is to be killed keeps it.
private struct Replica {
  private var bytes: [UInt8]
  private let device: BlockDevice

  init(disk: String) throws {
    device = try BlockDevice(path: "/dev/\(disk)", readOnly: true)
    bytes = Array(repeating: 0, count: Int(device.size))
    try copy([0..<device.size])
  }

  mutating func copy(_ ranges: [Range<UInt64>]) throws {
    for range in ranges {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: 4 << 20) {
        let part = Int(start)..<Int(min(start + 4 << 20, range.upperBound))
        try bytes.withUnsafeMutableBytes {
          let target = UnsafeMutableRawBufferPointer(rebasing: $0[part])
          var span = unsafe MutableRawSpan(_unsafeBytes: target)
          try device.read(into: &span, at: start)
        }
      }
    }
  }

  func save(_ path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }
}
