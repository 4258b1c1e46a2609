import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Rungs of tracking", .serialized, .timeLimit(.minutes(2)))
struct RungTests {
  private static func write(_ blocks: [UInt64], to path: String) throws {
    let device = try BlockDevice(path: path, readOnly: false)
    let buffer = AlignedBuffer(count: 4096)
    for block in blocks {
      let bytes = unsafe RawSpan(_unsafeBytes: buffer.unsafeBytes)
      try device.write(bytes, at: block * 4096)
    }
  }

  private static func taken(_ tracker: KernelTracker, atMost count: Int = .max) throws -> [UInt64] {
    switch tracker.take(atMost: count) {
    case .dirty(let dirty): (0..<dirty.disks[0].blocks).filter { dirty.disks[0].contains(block: $0) }
    case .unknown(let reason): throw reason
    }
  }

  @Test("Each rung names what was written, or says in words why it cannot", arguments: TrackingRung.allCases)
  func names(rung: TrackingRung) throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      do {
        let tracker = try KernelTracker(disks: [disk.name], rungs: [rung])
        defer { tracker.stop() }
        #expect(tracker.rung == rung.rawValue)
        try Self.write([1, 77, 16383], to: disk.path)
        #expect(try Self.taken(tracker) == [1, 77, 16383])
        #expect(try Self.taken(tracker) == [])
        #expect(tracker.pending()[0].count == 3)
        #expect(tracker.verify(.quiescent) == nil)
      } catch let refusal as TrackingUnavailable {
        // Only where the kernel forbids its tracer.
        #expect(rung == .blktrace)
        #expect(refusal.reasons.allSatisfy { $0.hasPrefix("blktrace: ") && $0.contains("not permitted") })
        print("not available here:", refusal)
      }
    }
  }

  @Test("A take can be had in portions; what is kept back is pending, is not settled, and comes next")
  func portions() throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      let tracker = try KernelTracker(disks: [disk.name], rungs: [.perf])
      defer { tracker.stop() }
      let written = Array(stride(from: UInt64(0), to: 100, by: 2))
      try Self.write(written, to: disk.path)
      var named: [UInt64] = []
      for portion in [30, 15, 5] {
        let blocks = try Self.taken(tracker, atMost: 30 - named.count / 2)
        #expect(blocks.count == portion)
        named += blocks
        // All of the disk at once: it can only speak of what was named.
        tracker.settle(0..<64 << 20, ofDisk: 0)
        #expect(tracker.pending()[0].count == UInt64(50 - named.count))
      }
      #expect(named == written)
      try Self.write([7, 9], to: disk.path)
      #expect(try Self.taken(tracker) == [7, 9])
      tracker.settle(7 * 4096..<8 * 4096, ofDisk: 0)
      tracker.recall()
      #expect(try Self.taken(tracker) == [9])
    }
  }

  @Test("A discard is marked when it is asked for, and when it completes")
  func discards() throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      let tracker = try KernelTracker(disks: [disk.name], rungs: [.perf])
      defer { tracker.stop() }
      try run("blkdiscard", "-o", "1048576", "-l", "2097152", disk.path)
      #expect(try Self.taken(tracker) == Array(256..<768))
      #expect(tracker.verify(.quiescent) == nil)
    }
  }

  @Test("What is written through a partition arrives at its disk; the partition itself is refused")
  func leaves() throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      try run("addpart", disk.path, "1", "2048", "65536")
      defer { _ = try? run("delpart", disk.path, "1") }
      let partition = disk.name + "p1"
      do {
        _ = try KernelTracker(disks: [partition])
        Issue.record("a partition was tracked")
      } catch { #expect("\(error)".contains("track those: \(disk.name)")) }
      let tracker = try KernelTracker(disks: [disk.name], rungs: [.perf])
      defer { tracker.stop() }
      // No node is made where no udev runs.
      try run("mknod", [disk.folder + "/part", "b"] + Self.numbers(partition))
      try Self.write([0, 10], to: disk.folder + "/part")
      // The partition begins at the first MiB.
      #expect(try Self.taken(tracker) == [256, 266])
      try run("blkdiscard", "-o", "0", "-l", "65536", disk.folder + "/part")
      #expect(try Self.taken(tracker) == Array(256..<272))
    }
  }

  private static func numbers(_ device: String) throws -> [String] {
    try String(contentsOfFile: "/sys/class/block/\(device)/dev", encoding: .utf8)
      .trimmingCharacters(in: .newlines).split(separator: ":").map(String.init)
  }
}
