import Blocks
import Foundation
import Glibc
import Replication
import Synchronization
import Volumes
import Wire

@testable import Source

/// The disk of this machine, of which every instant is kept byte by byte beside what the sync makes of it.
final class WitnessedSource: SyncSource {
  /// All bytes of the disk when an instant began and when it ended. They differ where a trim was under way.
  struct Instant {
    var first: [UInt8]
    var last: [UInt8]
    var used: [Range<UInt64>]
  }

  let linux: LinuxSource
  private let device: BlockDevice
  private let state = Mutex<(pending: Instant?, instant: Instant?)>((nil, nil))

  init(disk: LoopDisk, places: AgentPlaces) throws {
    linux = try LinuxSource(disks: [disk.name], places: places, migration: "migration")
    device = try BlockDevice(path: disk.path, readOnly: true)
  }

  /// The last instant that was one.
  var instant: Instant? { state.withLock { $0.instant } }

  /// All bytes as they are now.
  func read() throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(device.size))
    for start in stride(from: 0, to: bytes.count, by: 4 << 20) {
      let part = start..<min(start + 4 << 20, bytes.count)
      try bytes.withUnsafeMutableBytes {
        let target = UnsafeMutableRawBufferPointer(rebasing: $0[part])
        var span = unsafe MutableRawSpan(_unsafeBytes: target)
        try device.read(into: &span, at: UInt64(start))
      }
    }
    return bytes
  }

  var disks: [SyncDisk] { linux.disks }
  var tracking: [AgentStatement.Tracking] { linux.tracking }
  var consistency: [String: String] { linux.consistency }
  func prepare(restart: Bool) throws -> SyncMachine.Prepared { try linux.prepare(restart: restart) }
  func mark(_ extents: [Extent], establishes: Bool) { linux.mark(extents, establishes: establishes) }
  func settle(_ extents: [Extent]) { linux.settle(extents) }
  func take(syncFirst: Bool) -> SyncTake { linux.take(syncFirst: syncFirst) }
  func commit() throws -> Bool { try linux.commit() }
  func powerOff() {}

  func freeze(hold: Bool) throws -> ContinuousClock.Instant {
    let start = try linux.freeze(hold: hold)
    let began = ContinuousClock.now
    do {
      let used = UsedExtents.of(disk: disks[0].name, size: device.size)
      let instant = Instant(first: try read(), last: [], used: used)
      state.withLock { $0.pending = instant }
    } catch {
      _ = linux.thaw()
      throw error
    }
    // What the witness took is not the sync's.
    return start + (.now - began)
  }

  func thaw() -> Bool {
    let last = try? read()
    let wasStill = linux.thaw()
    state.withLock { state in
      guard var instant = state.pending, let last, wasStill else { return }
      instant.last = last
      (state.pending, state.instant) = (nil, instant)
    }
    return wasStill
  }
}

extension WitnessedSource.Instant {
  /// The leaves in which a replica holds what the disk never held while it stood still.
  /// - Parameter usedOnly: free leaves may hold anything: a compare does not send them.
  func differing(from replica: [UInt8], usedOnly: Bool) -> [UInt64] {
    let leaf = Int(Leaf.size)
    guard replica.count == first.count, last.count == first.count else { return [.max] }
    return stride(from: 0, to: first.count, by: leaf).filter { start in
      let count = min(leaf, first.count - start)
      func isEqual(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { one in
          replica.withUnsafeBytes { memcmp(one.baseAddress! + start, $0.baseAddress! + start, count) == 0 }
        }
      }
      if isEqual(first) || isEqual(last) { return false }
      return !usedOnly || used.contains { $0.overlaps(UInt64(start)..<UInt64(start + count)) }
    }.map { UInt64($0 / leaf) }
  }
}
