internal import Blocks
internal import Glibc
internal import Synchronization

extension BlockRules {
  private static let page = 4096

  static func writesAreRead(_ volume: any BlockWriter) throws {
    let bytes = pattern(3 * page, salt: 1)
    try write(bytes, volume, at: UInt64(5 * page))
    try expect(volume, at: UInt64(5 * page), holds: bytes, "what was written")
  }

  static func neighboursStay(_ volume: any BlockWriter) throws {
    let (before, inner) = (pattern(3 * page, salt: 2), pattern(page, salt: 3))
    try write(before, volume, at: 0)
    try write(inner, volume, at: UInt64(page))
    let wanted = Array(before[..<page]) + inner + Array(before[(2 * page)...])
    try expect(volume, at: 0, holds: wanted, "a page between two others")
  }

  static func lastBytes(_ volume: any BlockWriter) throws {
    let step = UInt64(max(volume.alignment, 512))
    let start = (volume.size - 1) / step * step
    let bytes = pattern(Int(volume.size - start), salt: 4)
    try write(bytes, volume, at: start)
    try expect(volume, at: start, holds: bytes, "the end of the device")
  }

  static func zeroesRange(_ volume: any BlockWriter) throws {
    let around = pattern(64 * page, salt: 5)
    try write(around, volume, at: 0)
    try volume.zero(UInt64(3 * page)..<UInt64(40 * page))
    var wanted = around
    wanted.replaceSubrange(3 * page..<40 * page, with: repeatElement(0, count: 37 * page))
    try expect(volume, at: 0, holds: wanted, "a zeroed range")
    // A little more than a sector, where the store cannot punch a hole.
    let sector = max(volume.alignment, 512)
    try volume.zero(UInt64(sector)..<UInt64(2 * sector))
    wanted.replaceSubrange(sector..<2 * sector, with: repeatElement(0, count: sector))
    try expect(volume, at: 0, holds: wanted, "a zeroed sector")
  }

  static func emptyRequests(_ volume: any BlockWriter) throws {
    let before = try read(page, volume, at: 0)
    try write([], volume, at: 0)
    _ = try read(0, volume, at: volume.size)
    try volume.zero(0..<0)
    try expect(volume, at: 0, holds: before, "after empty requests")
  }

  static func outOfRange(_ volume: any BlockWriter) throws {
    let step = UInt64(max(volume.alignment, 512))
    let last = volume.size / step * step - step
    let before = try read(Int(step), volume, at: last)
    let bytes = pattern(Int(2 * step), salt: 6)
    try expect(.outOfRange, "a write over the end") { () throws(BlockError) in
      try write(bytes, volume, at: volume.size - step)
    }
    try expect(.outOfRange, "a read over the end") { () throws(BlockError) in
      _ = try read(Int(2 * step), volume, at: volume.size - step)
    }
    try expect(.outOfRange, "a read far behind the end") { () throws(BlockError) in
      _ = try read(Int(step), volume, at: UInt64.max / step * step - step)
    }
    try expect(.outOfRange, "zeroing over the end") { () throws(BlockError) in
      try volume.zero(volume.size - step..<volume.size + step)
    }
    try expect(volume, at: last, holds: before, "after refused requests")
  }

  static func misaligned(_ volume: any BlockWriter) throws {
    guard volume.alignment > 1 else { return }
    let bytes = pattern(page, salt: 7)
    try expect(.misaligned, "an odd offset") { () throws(BlockError) in try write(bytes, volume, at: 1) }
    try expect(.misaligned, "an odd length") { () throws(BlockError) in
      _ = try read(volume.alignment + 1, volume, at: 0)
    }
    try expect(.misaligned, "an odd range") { () throws(BlockError) in try volume.zero(1..<UInt64(page)) }
  }

  static func unalignedMemory(_ volume: any BlockWriter) throws {
    let bytes = pattern(9 * page, salt: 8)
    for shift in [1, 3, 512] {
      let shifted = Array(repeating: 0, count: shift) + bytes
      try volume.write(shifted.span.bytes.extracting(shift..<shift + bytes.count), at: 0)
      var target = [UInt8](repeating: 0xa5, count: shift + bytes.count)
      try target.withUnsafeMutableBytes { buffer in
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[shift...])
        var raw = unsafe MutableRawSpan(_unsafeBytes: part)
        try volume.read(into: &raw, at: 0)
      }
      try expect(Array(target[shift...]) == bytes, "memory that is shifted by \(shift) came back different")
      try expect(target[..<shift].allSatisfy { $0 == 0xa5 }, "memory before a read was changed")
    }
  }

  static func largestRequest(_ volume: any BlockWriter) throws {
    let bytes = pattern(4 << 20, salt: 9)
    try write(bytes, volume, at: 1 << 20)
    try expect(volume, at: 1 << 20, holds: bytes, "4 MiB")
  }

  static func repeatable(_ volume: any BlockWriter) throws {
    let bytes = pattern(2 * page, salt: 10)
    for _ in 0..<3 { try write(bytes, volume, at: UInt64(7 * page)) }
    for _ in 0..<2 { try volume.zero(UInt64(9 * page)..<UInt64(10 * page)) }
    try expect(volume, at: UInt64(7 * page), holds: bytes + Array(repeating: 0, count: page), "after repetition")
  }

  static func flushKeeps(_ volume: any BlockWriter) throws {
    let bytes = pattern(page, salt: 11)
    try write(bytes, volume, at: UInt64(20 * page))
    try volume.flush()
    try volume.flush()
    try expect(volume, at: UInt64(20 * page), holds: bytes, "after a flush")
  }

  static func parallelWrites(_ volume: any BlockWriter) throws {
    let lanes = 4
    let perLane = 32
    let failures = Mutex<[String]>([])
    concurrently(lanes) { lane in
      do {
        for index in 0..<perLane {
          let place = UInt64((index * lanes + lane) * page)
          try write(pattern(page, salt: 100 + place), volume, at: place)
        }
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
    try expect(failures.withLock(\.isEmpty), "a parallel write failed: \(failures.withLock { $0[0] })")
    for index in 0..<lanes * perLane {
      let place = UInt64(index * page)
      try expect(volume, at: place, holds: pattern(page, salt: 100 + place), "a page written beside others")
    }
  }

  /// Runs `body` on so many threads at once, and waits for all.
  private static func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<count).map { index in
      var thread = pthread_t()
      let work = Unmanaged.passRetained(Work { body(index) })
      pthread_create(
        &thread, nil,
        { context in
          Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().run()
          return nil
        }, work.toOpaque())
      return thread
    }
    for thread in threads { pthread_join(thread, nil) }
  }

  private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
