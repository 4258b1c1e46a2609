import Blocks
import Glibc
import Source
import Volumes

/// Keeps a copy of a disk up to date by a tracker alone, and compares every block of the disk with it at instants at
/// which the disk stands still.
struct BruteForce {
  let tracker: KernelTracker
  let device: BlockDevice
  private var replica: [UInt8]
  private(set) var comparisons = 0
  /// Blocks that differed from the replica although no take had named them.
  private(set) var missed: [UInt64] = []
  private(set) var differing = 0
  private(set) var taken = 0
  /// Blocks that the takes of the comparisons named; `differing` is what of them had changed.
  private(set) var named = 0
  private(set) var freezes: [Duration] = []

  /// Starts with a full copy of the live disk, or where `replica` is given, with that and what is pending.
  init(_ tracker: KernelTracker, path: String, replica earlier: [UInt8]? = nil) throws {
    self.tracker = tracker
    device = try BlockDevice(path: path, readOnly: true)
    if let earlier {
      replica = earlier
      try copy(tracker.pending()[0].ranges())
    } else {
      replica = Array(repeating: 0, count: Int(device.size))
      _ = tracker.take()
      try copy([0..<device.size])
    }
  }

  /// One take of the running disk.
  mutating func follow() throws {
    try copy(dirty().ranges())
  }

  /// Freezes, compares the counters, takes, compares every block, and thaws.
  mutating func compare(_ filesystem: MountedFilesystem) throws {
    let still = try FreezeGuard([filesystem], limit: .seconds(30))
    freezes += try still.freeze().map(\.duration)
    if let reason = tracker.verify(.quiescent) { throw reason }
    let dirty = try dirty()
    named += Int(dirty.count)
    var found: [UInt64] = []
    try forEachBlock { block, isEqual in
      if !isEqual {
        differing += 1
        if !dirty.contains(block: block) { found.append(block) }
      }
    }
    try copy(dirty.ranges())
    // A trim that was under way goes on in free space; what it changed must be marked by now.
    let late = found.isEmpty ? nil : try self.dirty()
    missed += found.filter { late?.contains(block: $0) != true }
    if let late { try copy(late.ranges()) }
    if !still.thaw() { throw ProgramFailed(description: "the watchdog thawed") }
    comparisons += 1
  }

  private mutating func dirty() throws -> DirtyDisk {
    switch tracker.take() {
    case .dirty(let blocks):
      taken += Int(blocks.disks[0].count)
      return blocks.disks[0]
    case .unknown(let reason): throw reason
    }
  }

  private mutating func copy(_ ranges: [Range<UInt64>]) throws {
    for range in ranges {
      var offset = range.lowerBound
      while offset < range.upperBound {
        let end = min(offset + 4 << 20, range.upperBound)
        try replica.withUnsafeMutableBytes {
          let part = UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)..<Int(end)])
          var bytes = unsafe MutableRawSpan(_unsafeBytes: part)
          try device.read(into: &bytes, at: offset)
        }
        offset = end
      }
    }
  }

  private func forEachBlock(_ body: (UInt64, Bool) -> Void) throws {
    let buffer = AlignedBuffer(count: 4 << 20)
    let size = tracker.disks[0].blockSize
    var offset: UInt64 = 0
    while offset < device.size {
      let count = Int(min(UInt64(buffer.count), device.size - offset))
      var bytes = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[..<count]))
      try device.read(into: &bytes, at: offset)
      for start in stride(from: 0, to: count, by: Int(size)) {
        let length = min(Int(size), count - start)
        let isEqual = replica.withUnsafeBytes {
          memcmp($0.baseAddress! + Int(offset) + start, buffer.unsafeBytes.baseAddress! + start, length) == 0
        }
        body((offset + UInt64(start)) / size, isEqual)
      }
      offset += UInt64(count)
    }
  }
}
