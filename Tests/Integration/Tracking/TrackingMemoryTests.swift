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
      let end = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
        [names = names as [String]] in
        // What an exit test throws is not shown.
        do { try TrackingMemoryTests.track(names) } catch {
          print(error)
          exit(1)
        }
      }
      if let end { print(String(decoding: end.standardOutputContent, as: UTF8.self)) }
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
    let buffer = AlignedBuffer(count: 4096)
    // The peak is counted from here.
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    let before = try status("VmRSS")
    var (written, pending, block) = (0, UInt64(0), UInt64(0))
    for _ in 0..<3 {
      // Anew each time: a kernel that skips an event makes it void.
      let tracker = try KernelTracker(disks: names, rungs: [.perf])
      defer { tracker.stop() }
      block = tracker.disks[0].blockSize
      for device in devices {
        for _ in 0..<3000 / names.count {
          let bytes = unsafe RawSpan(_unsafeBytes: buffer.unsafeBytes)
          try device.write(bytes, at: UInt64.random(in: 0..<device.size / 4096) * 4096)
          written += 1
        }
      }
      guard case .dirty(var dirty) = tracker.take() else { continue }
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
    }
    let added = try status("VmHWM") - before
    print(
      "\(names.count) disks of \(devices[0].size >> 40) TiB, blocks of \(block >> 10) KiB:",
      "\(written) random writes, tracking added at most \(added >> 10) KiB to \(before >> 10) KiB")
    guard pending > 0 else { throw ProgramFailed(description: "nothing was seen") }
    guard added < bound else { throw ProgramFailed(description: "\(added) bytes more than before") }
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
