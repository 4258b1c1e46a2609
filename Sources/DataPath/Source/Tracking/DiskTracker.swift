internal import Blocks
internal import CLinuxBlock
internal import Glibc
internal import SystemPackage
internal import Volumes

/// The tracking of one disk: its program, its maps, and what the kernel's counters were at the start.
///
/// Not safe from several threads at once: `BPFTracker` holds its lock around every call.
final class DiskTracker: Sendable {
  let disk: TrackedDisk
  let rung: TrackingRung
  private let layout: DirtyMapLayout
  private let marks: SharedMap
  /// A byte for each block that was taken and is not settled.
  private let pendingMarks: SharedMap
  private let counters: SharedMap
  private let program: OwnedDescriptor
  private let attachment: Attachment
  /// Sectors the kernel had counted and we had not, when tracking began.
  private let headStart: Int64
  private let missedAtStart: Int64

  /// Starts tracking on one rung, and proves that it works.
  init(name: String, rung: TrackingRung, kernel: KernelInterfaces) throws(TrackingRefusal) {
    guard let size = DiskCounters.size(name), size > 0, let device = Self.deviceNumber(name) else {
      throw TrackingRefusal("there is no disk \(name) with bytes on it")
    }
    guard SystemFile.text("/sys/block/\(name)/queue/iostats") == "1" else {
      throw TrackingRefusal("the kernel does not count its I/O; write 1 to /sys/block/\(name)/queue/iostats")
    }
    layout = DirtyMapLayout(size: size)
    disk = TrackedDisk(name: name, size: size, blockSize: layout.blockSize)
    self.rung = rung
    do throws(Errno) {
      marks = try SharedMap(name: "godwit_marks", valueSize: Int(DirtyMapLayout.page), entries: layout.pages)
      pendingMarks = try SharedMap(name: "godwit_pending", valueSize: Int(DirtyMapLayout.page), entries: layout.pages)
      counters = try SharedMap(
        name: "godwit_counters", valueSize: MarkProgram.Counter.allCases.count * 8, entries: 1)
    } catch {
      throw TrackingRefusal("BPF map: \(error)")
    }
    let probe = SignatureReads(size: size)
    let code = MarkProgram(
      device: device, layout: layout, signature: (probe.sector, probe.sectors), map: marks.descriptor.rawValue,
      counters: counters.descriptor.rawValue)
    program = try kernel.load(code, rung)
    attachment = try Attachment(program: program.rawValue, rung: rung, kernel: kernel)
    missedAtStart = lb_bpf_recursion_misses(program.rawValue)
    guard let headStart = Self.measureHeadStart(name, counters) else {
      throw TrackingRefusal("/sys/block/\(name)/stat cannot be read")
    }
    self.headStart = headStart
    try probe.run(on: name)
    let seen = counters.load(word: MarkProgram.Counter.signatures.rawValue)
    guard seen >= UInt64(SignatureReads.repetitions) else {
      throw TrackingRefusal(
        "of \(SignatureReads.repetitions) reads of the self-test only \(seen) were seen as requests of \(name)")
    }
  }

  private static func deviceNumber(_ name: String) -> UInt64? {
    let parts = SystemFile.text("/sys/block/\(name)/dev")?.split(separator: ":").compactMap { UInt64($0) } ?? []
    return parts.count == 2 ? parts[0] << 20 | parts[1] : nil
  }

  private func counter(_ which: MarkProgram.Counter) -> UInt64 { counters.load(word: which.rawValue) }

  private static func seen(_ counters: SharedMap) -> SeenSectors {
    SeenSectors(
      written: counters.load(word: MarkProgram.Counter.written.rawValue)
        + counters.load(word: MarkProgram.Counter.other.rawValue),
      discarded: counters.load(word: MarkProgram.Counter.discarded.rawValue))
  }
}

// MARK: - Counters

extension DiskTracker {
  /// The kernel's count minus ours. On a busy disk a request may end between the two readings, which can only make the
  /// difference smaller; so the largest of many is the true one.
  private static func measureHeadStart(_ name: String, _ counters: SharedMap) -> Int64? {
    var largest: Int64?
    for _ in 0..<32 {
      guard let kernel = DiskCounters.read(name) else { return nil }
      let difference = Int64(kernel.written) - Int64(seen(counters).written(comparedWith: kernel))
      largest = max(largest ?? difference, difference)
      usleep(200)
    }
    return largest
  }

  /// What speaks against trusting the marks; nil if nothing does.
  func verify(_ moment: CounterMoment) -> VoidReason? {
    guard let size = DiskCounters.size(disk.name) else { return .lost(disk: disk.name, reason: "the disk is gone") }
    if size != disk.size { return .sizeChanged(disk: disk.name, from: disk.size, to: size) }
    let bad = counter(.bad)
    if bad > 0 { return .untrackableWrites(disk: disk.name, count: bad) }
    let missed = lb_bpf_recursion_misses(program.rawValue)
    if missed > missedAtStart { return .eventsMissed(disk: disk.name, count: UInt64(missed - missedAtStart)) }
    return moment == .live ? verifyLive() : verifyQuiescent()
  }

  private func verifyLive() -> VoidReason? {
    // In this order requests that end meanwhile make our count the larger one.
    guard let kernel = DiskCounters.read(disk.name) else { return unreadable }
    let seen = Self.seen(counters).written(comparedWith: kernel)
    return Int64(kernel.written) - Int64(seen) > headStart ? differ(kernel, seen) : nil
  }

  /// Equal once is proof. Different counts once in every of 20 quiet moments, or for a second, as well.
  private func verifyQuiescent() -> VoidReason? {
    var quietMoments = 0
    var last: VoidReason?
    for _ in 0..<1000 where quietMoments < 20 {
      guard let before = DiskCounters.read(disk.name) else { return unreadable }
      let seen = Self.seen(counters).written(comparedWith: before)
      guard let after = DiskCounters.read(disk.name), let inFlight = DiskCounters.inFlight(disk.name) else {
        return unreadable
      }
      if before.written == after.written {
        if Int64(after.written) - Int64(seen) == headStart { return nil }
        if inFlight == 0 { quietMoments += 1 }
      }
      last = differ(after, seen)
      usleep(1000)
    }
    return last
  }

  private var unreadable: VoidReason {
    .lost(disk: disk.name, reason: "/sys/block/\(disk.name)/stat cannot be read")
  }

  private func differ(_ kernel: DiskCounters, _ seen: UInt64) -> VoidReason {
    .countersDiffer(disk: disk.name, seen: seen, written: UInt64(clamping: Int64(kernel.written) - headStart))
  }
}

// MARK: - Marks

extension DiskTracker {
  /// Moves every mark to the pending map, and says which blocks they were.
  func take() -> DirtyDisk {
    var dirty = DirtyDisk(size: disk.size, blockSize: disk.blockSize)
    for index in 0..<marks.wordCount {
      var word = marks.load(word: index)
      while word != 0 {
        insert(word, at: UInt64(index) * 8, &dirty)
        if marks.clear(word: index, expected: word) { break }
        // More was marked meanwhile: the old marks stand in it, too.
        word = marks.load(word: index)
      }
    }
    return dirty
  }

  private func insert(_ word: UInt64, at unit: UInt64, _ dirty: inout DirtyDisk) {
    for byte in 0..<UInt64(8) where word.littleEndian >> (8 * byte) & 0xff != 0 {
      for block in layout.blocks(of: unit + byte) {
        pendingMarks[byte: block] = 1
        dirty.insert(block: block)
      }
    }
  }

  func mark(_ range: Range<UInt64>) {
    let end = (min(range.upperBound, disk.size) + disk.blockSize - 1) / disk.blockSize
    let first = range.lowerBound / disk.blockSize
    for block in first..<max(first, end) { pendingMarks[byte: block] = 1 }
  }

  func settle(_ range: Range<UInt64>) {
    let first = (range.lowerBound + disk.blockSize - 1) / disk.blockSize
    let end = range.upperBound >= disk.size ? layout.blocks : range.upperBound / disk.blockSize
    for block in first..<max(first, end) { pendingMarks[byte: block] = 0 }
  }

  func pending() -> DirtyDisk {
    var found = DirtyDisk(size: disk.size, blockSize: disk.blockSize)
    for index in 0..<Int((layout.blocks + 7) / 8) where pendingMarks.load(word: index) != 0 {
      for block in UInt64(index) * 8..<min(UInt64(index + 1) * 8, layout.blocks) where pendingMarks[byte: block] != 0 {
        found.insert(block: block)
      }
    }
    return found
  }
}
