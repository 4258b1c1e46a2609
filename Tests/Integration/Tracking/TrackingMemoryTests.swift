import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Memory of tracking", .serialized, .timeLimit(.minutes(3)))
struct TrackingMemoryTests {
  /// What tracking may add to a process. The agent has 64 MiB in all.
  private static let bound = 20 << 20

  @Test(
    "Tracking, taking and settling on large disks under random writes adds little",
    arguments: [[UInt64(2) << 40], [1 << 40, 1 << 40, 1 << 40, 1 << 40]])
  func largeDisks(sizes: [UInt64]) async throws {
    try await Self.withDisks(sizes) { names in
      await #expect(processExitsWith: .success) { [names = names as [String]] in try TrackingMemoryTests.track(names) }
    }
  }

  private static func withDisks(_ sizes: [UInt64], _ names: [String] = [], _ body: ([String]) async throws -> Void)
    async throws
  {
    guard let size = sizes.first else { return try await body(names) }
    try await LoopDisk.with(size: size) { disk in
      try await withDisks(Array(sizes.dropFirst()), names + [disk.name], body)
    }
  }

  /// In a process of its own, whose peak is measured.
  private static func track(_ names: [String]) throws {
    let devices = try names.map { try BlockDevice(path: "/dev/\($0)", readOnly: false) }
    // Brings the program's own pages in, which are not what is measured.
    _ = try round(names, devices, writes: 16)
    // The peak is counted from here.
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    let before = try status("VmRSS")
    var pending: UInt64 = 0
    // Anew each time: a kernel that skips an event makes it void.
    for _ in 0..<3 { pending = max(pending, try round(names, devices, writes: 3000)) }
    let added = try status("VmHWM") - before
    print("\(names.count) disks of \(devices[0].size >> 40) TiB: tracking added \(added >> 10) KiB")
    guard pending > 0 else { throw ProgramFailed(description: "nothing was seen") }
    guard added < bound else { throw ProgramFailed(description: "\(added) bytes more than before") }
  }

  /// Writes at random, takes, settles.
  /// - Returns: how many leaves of a disk were pending at the most; 0 where the kernel skipped events.
  private static func round(_ names: [String], _ devices: [BlockDevice], writes: Int) throws -> UInt64 {
    let buffer = AlignedBuffer(count: 4096)
    let tracker = try KernelTracker(disks: names, rungs: [.perf])
    defer { tracker.stop() }
    for device in devices {
      for _ in 0..<writes / names.count {
        let bytes = unsafe RawSpan(_unsafeBytes: buffer.unsafeBytes)
        try device.write(bytes, at: UInt64.random(in: 0..<device.size / 4096) * 4096)
      }
    }
    guard case .dirty(var dirty) = tracker.take() else { return 0 }
    var pending: UInt64 = 0
    for index in names.indices {
      pending = max(pending, tracker.pending()[index].count)
      while !dirty.disks[index].isEmpty {
        // As it is sent: leaf by leaf.
        for range in dirty.disks[index].removeRanges(count: 1000, limit: 65536) {
          tracker.settle(range, ofDisk: index)
        }
      }
    }
    let left = tracker.pending().reduce(0) { $0 + $1.count }
    guard left == 0 else { throw ProgramFailed(description: "\(left) leaves were settled and are pending") }
    return pending
  }

  private static func status(_ key: String) throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
    guard let kib = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) else {
      throw ProgramFailed(description: "no \(key)")
    }
    return kib << 10
  }
}
