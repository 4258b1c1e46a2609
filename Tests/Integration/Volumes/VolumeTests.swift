import Blocks
import Foundation
import Glibc
import Testing
import Volumes

@Suite("Volumes", .timeLimit(.minutes(1)))
struct VolumeTests {
  private func withFile<R>(size: UInt64, _ body: (RawFile) throws -> R) throws -> R {
    let path = "/var/tmp/godwit-test-\(UUID().uuidString).img"
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(RawFile.create(path: path, size: size))
  }

  private func read(_ volume: any BlockReader, _ count: Int, at offset: UInt64) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    try volume.read(into: &raw, at: offset)
    return bytes
  }

  @Test("A raw disk that begins with an image format's header stays raw")
  func rawStaysRaw() throws {
    try withFile(size: 4 << 20) { file in
      try FileManager.default.removeItem(atPath: file.path)
      try run("qemu-img", "create", "-q", "-f", "qcow2", file.path, "1G")
      try run("truncate", "-s", "4M", file.path)
      let reopened = try RawFile(path: file.path)
      #expect(reopened.size == 4 << 20)
      #expect(try read(reopened, 4, at: 0) == [0x51, 0x46, 0x49, 0xfb])
      let start: [UInt8] = [1, 2, 3]
      try reopened.write(start.span.bytes, at: 0)
      try reopened.flush()
      #expect(try read(reopened, 4, at: 0) == [1, 2, 3, 0xfb])
      #expect(try Data(contentsOf: URL(filePath: file.path)).prefix(4) == Data([1, 2, 3, 0xfb]))
    }
  }

  @Test("Zeroing gives the space of a raw file back")
  func sparse() throws {
    try withFile(size: 8 << 20) { file in
      let bytes = [UInt8](repeating: 7, count: 4 << 20)
      try file.write(bytes.span.bytes, at: 0)
      try file.flush()
      #expect(try allocatedBytes(of: file.path) >= 4 << 20)
      try file.zero(0..<(8 << 20))
      #expect(try allocatedBytes(of: file.path) == 0)
    }
  }

  @Test("A disk that shrinks away is said to have vanished")
  func vanished() throws {
    try LoopDisk.with(size: 8 << 20) { disk in
      let device = try BlockDevice(path: disk.path)
      let zeros = try read(device, 4096, at: 4 << 20)
      #expect(zeros == Array(repeating: 0, count: 4096))
      try run("truncate", "-s", "0", disk.image)
      try run("losetup", "--set-capacity", disk.path)
      let error = #expect(throws: BlockError.self) { _ = try read(device, 4096, at: 4 << 20) }
      #expect(error?.code == .vanished)
    }
  }

  @Test("A bad sector is named exactly, and its neighbours can be read")
  func unreadable() throws {
    try withFile(size: 8 << 20) { file in
      var plan = FaultyBlocks.Plan()
      plan.unreadable = [(3 << 20) + 512..<(3 << 20) + 1024]
      let faulty = FaultyBlocks(file, plan: plan)
      let error = #expect(throws: BlockError.self) { _ = try read(faulty, 4 << 20, at: 0) }
      #expect(error?.code == .unreadable && error?.offset == (3 << 20) + 512)
      // Neither throws.
      _ = try read(faulty, (3 << 20) + 512, at: 0)
      _ = try read(faulty, 4096, at: (3 << 20) + 1024)
      #expect(faulty.hits.reads == 1)
    }
  }

  @Test("A sector the medium refuses is found by narrowing")
  func narrowing() throws {
    try LoopDisk.with(size: 8 << 20) { disk in
      // The image file ends early: the loop device fails every read of the page after its end's page.
      let device = try BlockDevice(path: disk.path, readOnly: true)
      try run("truncate", "-s", "\((5 << 20) + 4096)", disk.image)
      let bytes = try read(device, 4 << 20, at: 1 << 20)
      #expect(bytes.count == 4 << 20)
      let error = #expect(throws: BlockError.self) { _ = try read(device, 2 << 20, at: 4 << 20) }
      #expect(error?.code == .unreadable)
      #expect(error?.offset == (5 << 20) + 4096)
    }
  }

  @Test("Faults drawn by chance are hit, and the same seed hits the same calls")
  func chances() throws {
    func failures(seed: UInt64) throws -> [Int] {
      try withFile(size: 1 << 20) { file in
        var plan = FaultyBlocks.Plan()
        plan.seed = seed
        plan.writeFailures = 0.2
        plan.flushFailures = 0.2
        let faulty = FaultyBlocks(file, plan: plan)
        let bytes = [UInt8](repeating: 1, count: 4096)
        let failed = (0..<100).filter { index in
          do {
            if index % 4 == 0 { try faulty.flush() } else { try faulty.write(bytes.span.bytes, at: 0) }
            return false
          } catch { return true }
        }
        #expect(faulty.hits.writes > 0 && faulty.hits.flushes > 0)
        #expect(failed.count == faulty.hits.writes + faulty.hits.flushes)
        return failed
      }
    }
    let (first, again, other) = (try failures(seed: 7), try failures(seed: 7), try failures(seed: 8))
    #expect(first == again)
    #expect(first != other)
  }

  @Test("A loss of power keeps what was flushed, and an arbitrary part of the rest")
  func powerLoss() throws {
    try withFile(size: 1 << 20) { file in
      let volume = PowerLossVolume(file, seed: 42)
      let (old, new) = ([UInt8](repeating: 1, count: 64 << 10), [UInt8](repeating: 2, count: 64 << 10))
      try volume.write(old.span.bytes, at: 0)
      try volume.flush()
      try volume.write(new.span.bytes, at: 0)
      try volume.write(new.span.bytes, at: 128 << 10)
      #expect(try read(volume, 64 << 10, at: 0) == new)
      try volume.losePower()
      let found = try read(volume, 64 << 10, at: 0)
      let kept = stride(from: 0, to: found.count, by: 512).filter { found[$0] == 2 }.count
      #expect(kept > 0 && kept < 128)
      #expect(stride(from: 0, to: found.count, by: 512).allSatisfy { Set(found[$0..<$0 + 512]).count == 1 })
      #expect(volume.losses.cached == 256 && volume.losses.lost > 0)
    }
  }

  @Test("A rate is kept, also when it changes")
  func throttle() throws {
    try withFile(size: 1 << 20) { file in
      let rate = RateLimit(bytesPerSecond: 1 << 20)
      let throttled = ThrottledReader(file, rate: rate)
      let began = ContinuousClock.now
      for _ in 0..<5 { _ = try read(throttled, 64 << 10, at: 0) }
      // The first passes at once; each waits for the one before.
      #expect(ContinuousClock.now - began >= .milliseconds(240))
      rate.set(bytesPerSecond: nil)
      let free = ContinuousClock.now
      for _ in 0..<5 { _ = try read(throttled, 64 << 10, at: 0) }
      #expect(ContinuousClock.now - free < .milliseconds(240))
    }
  }
}
