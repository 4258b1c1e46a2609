internal import Blocks
internal import Glibc
internal import SystemPackage
internal import Volumes

/// The tracking of one disk: what a rung marks, what is pending, and what the kernel's counters were at the start.
///
/// Not safe from several threads at once: `KernelTracker` holds its lock around every call.
final class DiskTracker: Sendable {
  let disk: TrackedDisk
  let marks: any MarkSource
  private let pendingMarks: PendingMarks
  /// Sectors the kernel had counted and we had not, when tracking began.
  private let headStart: Int64

  /// How a disk is to be tracked.
  struct Plan {
    var name: String
    var rung: TrackingRung
    /// Tracked together: what they share bounds each.
    var disks = 1
    /// Where everything is pinned.
    var pins: PinFolder?
    /// See `MarkProgram.dropsOneIn`.
    var dropsOneIn: Int32?
    /// Whether another block tracer is ended.
    var takesOver = true
  }

  /// Starts tracking on one rung, and proves that it works.
  init(_ plan: Plan, kernel: KernelInterfaces) throws(TrackingRefusal) {
    let name = plan.name
    let (size, devices) = try Self.identify(name)
    let layout = DirtyMapLayout(size: size, disks: plan.disks)
    disk = TrackedDisk(name: name, size: size, blockSize: layout.blockSize)
    let probe = SignatureReads(size: size)
    if plan.rung == .blktrace {
      marks = try BlockTraceMarks(disk: name, layout: layout, probe: probe, takesOver: plan.takesOver)
      pendingMarks = try Self.pendingMarks(layout, nil)
    } else {
      pendingMarks = try Self.pendingMarks(layout, plan.pins)
      marks = try BPFMarks(
        rung: plan.rung, devices: devices, layout: layout, probe: probe, kernel: kernel, pins: plan.pins,
        dropsOneIn: plan.dropsOneIn)
    }
    guard let headStart = Self.measureHeadStart(name, marks) else {
      throw TrackingRefusal("/sys/block/\(name)/stat cannot be read")
    }
    self.headStart = headStart
    try selfTest(probe)
  }

  /// Goes on with what an earlier process pinned, after the same self-test.
  init(adopting record: TrackingRecord.Disk, pins: PinFolder) throws(TrackingRefusal) {
    let (size, devices) = try Self.identify(record.name)
    guard size == record.size, devices[0] == record.device else {
      throw TrackingRefusal("\(record.name) is another disk now, or has another size")
    }
    let layout = DirtyMapLayout(size: size, shift: record.shift)
    disk = TrackedDisk(name: record.name, size: size, blockSize: layout.blockSize)
    headStart = record.headStart
    do throws(Errno) {
      let bytes = PendingMarks.byteCount(size: size, block: layout.blockSize)
      let map = try KernelMap(adopting: pins.get(.pending), bytes: bytes)
      pendingMarks = PendingMarks(size: size, block: layout.blockSize, words: try MappedWords(map))
    } catch {
      throw TrackingRefusal("what was pending is not pinned: \(error)")
    }
    marks = try BPFMarks(adopting: pins, rung: record.rung, layout: layout, missedAtStart: record.missedAtStart)
    try selfTest(SignatureReads(size: size))
    if let reason = verify(.live) { throw TrackingRefusal(reason.description) }
  }

  /// What another process needs to go on with this; nil where this cannot be handed over.
  var record: TrackingRecord.Disk? {
    guard let marks = marks as? BPFMarks, let device = try? Self.identify(disk.name).devices[0] else { return nil }
    return TrackingRecord.Disk(
      name: disk.name, device: device, size: disk.size, shift: UInt64((disk.blockSize / 512).trailingZeroBitCount),
      rung: marks.rung, headStart: headStart, missedAtStart: marks.missesAtStart)
  }

  /// Size in bytes, and the numbers of the disk and its partitions. Refuses what cannot be tracked.
  private static func identify(_ name: String) throws(TrackingRefusal) -> (size: UInt64, devices: [UInt64]) {
    let graph = DeviceGraph(root: "")
    let below = graph.disks(under: name)
    if graph.exists(name), below != [name] {
      // The completion of a request that a mapping split shows only a part of it.
      throw TrackingRefusal("\(name) lies on other disks; track those: \(below.sorted().joined(separator: ", "))")
    }
    guard let size = DiskCounters.size(name), size > 0, let device = graph.number(name) else {
      throw TrackingRefusal("there is no disk \(name) with bytes on it")
    }
    guard SystemFile.text("/sys/block/\(name)/queue/iostats") == "1" else {
      throw TrackingRefusal("the kernel does not count its I/O; write 1 to /sys/block/\(name)/queue/iostats")
    }
    let partitions = SystemFile.names(in: "/sys/block/\(name)").filter { $0.hasPrefix(name) }
    return (size, [device] + partitions.compactMap { graph.number($0) })
  }

  private static func pendingMarks(
    _ layout: DirtyMapLayout, _ pins: PinFolder?
  ) throws(TrackingRefusal) -> PendingMarks {
    let bytes = PendingMarks.byteCount(size: layout.size, block: layout.blockSize)
    do throws(Errno) {
      guard let pins else {
        return PendingMarks(size: layout.size, block: layout.blockSize, words: try MappedWords(bytes: bytes))
      }
      let map = try KernelMap(name: "godwit_pending", bytes: bytes)
      try? pins.pin(map.descriptor, .pending)
      return PendingMarks(size: layout.size, block: layout.blockSize, words: try MappedWords(map))
    } catch {
      throw TrackingRefusal("memory for what is pending: \(error)")
    }
  }

  /// Reads that must be seen as requests of this disk.
  private func selfTest(_ probe: SignatureReads) throws(TrackingRefusal) {
    let before = marks.signatures
    try probe.run(on: disk.name)
    // A tracer's records may be a moment late.
    for attempt in 0..<50 where marks.signatures < before + UInt64(SignatureReads.repetitions) {
      if attempt > 0 { usleep(2000) }
    }
    let seen = marks.signatures - before
    guard seen >= UInt64(SignatureReads.repetitions) else {
      throw TrackingRefusal(
        "of \(SignatureReads.repetitions) reads of the self-test only \(seen) were seen as requests of \(disk.name)")
    }
  }
}

// MARK: - Counters

extension DiskTracker {
  /// The kernel's count minus ours. On a busy disk a request may end between the two readings, which can only make the
  /// difference smaller; so the largest of many is the true one.
  private static func measureHeadStart(_ name: String, _ marks: any MarkSource) -> Int64? {
    var largest: Int64?
    for _ in 0..<32 {
      guard let kernel = DiskCounters.read(name) else { return nil }
      let difference = Int64(kernel.written) - Int64(marks.seen().written(comparedWith: kernel))
      largest = max(largest ?? difference, difference)
      usleep(200)
    }
    return largest
  }

  /// What speaks against trusting the marks; nil if nothing does.
  func verify(_ moment: CounterMoment) -> VoidReason? {
    guard let size = DiskCounters.size(disk.name) else { return .lost(disk: disk.name, reason: "the disk is gone") }
    if size != disk.size { return .sizeChanged(disk: disk.name, from: disk.size, to: size) }
    if marks.bad > 0 { return .untrackableWrites(disk: disk.name, count: marks.bad) }
    if marks.missed > 0 { return .eventsMissed(disk: disk.name, count: marks.missed) }
    return moment == .live ? verifyLive() : verifyQuiescent()
  }

  /// What was counted since tracking began; nil where the kernel's counters cannot be read.
  func count() -> TrackedCount? {
    guard let kernel = DiskCounters.read(disk.name) else { return nil }
    return TrackedCount(
      disk: disk.name, rung: marks.rung.rawValue, kernelSectors: UInt64(clamping: Int64(kernel.written) - headStart),
      seenSectors: marks.seen().written(comparedWith: kernel))
  }

  private func verifyLive() -> VoidReason? {
    // In this order requests that end meanwhile make our count the larger one.
    guard let kernel = DiskCounters.read(disk.name) else { return unreadable }
    let seen = marks.seen().written(comparedWith: kernel)
    return Int64(kernel.written) - Int64(seen) > headStart ? differ(kernel, seen) : nil
  }

  /// Equal once is proof. Different counts once in every of 20 quiet moments, or for a second, as well.
  private func verifyQuiescent() -> VoidReason? {
    var quietMoments = 0
    var last: VoidReason?
    for _ in 0..<1000 where quietMoments < 20 {
      guard let before = DiskCounters.read(disk.name) else { return unreadable }
      let seen = marks.seen().written(comparedWith: before)
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
  /// Moves every mark to the pending ones, and adds those blocks to `dirty`.
  func take(into dirty: inout DirtyDisk) throws(VoidReason) {
    do throws(Errno) {
      try marks.drain { blocks in
        pendingMarks.insert(blocks.lowerBound * disk.blockSize..<blocks.upperBound * disk.blockSize)
        dirty.insert(blocks: blocks)
      }
    } catch {
      throw .lost(disk: disk.name, reason: "the marks cannot be read: \(error)")
    }
  }

  func mark(_ range: Range<UInt64>) { pendingMarks.insert(range) }

  func settle(_ range: Range<UInt64>) { pendingMarks.remove(range) }

  func pending() -> DirtyDisk { pendingMarks.marked() }
}
