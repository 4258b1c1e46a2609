internal import Glibc

/// What the kernel itself says was written to a disk: /sys/block/NAME/stat.
struct DiskCounters: Equatable {
  /// Sectors, since the disk appeared.
  var written: UInt64
  /// Sectors; nil before Linux 4.18, where they are counted as written.
  var discarded: UInt64?

  /// Nil where the disk is gone.
  static func read(_ disk: String) -> DiskCounters? {
    guard let fields = SystemFile.numbers("/sys/block/\(disk)/stat"), fields.count >= 7 else { return nil }
    return DiskCounters(written: fields[6], discarded: fields.count > 13 ? fields[13] : nil)
  }

  /// Writes (and discards) that are under way.
  static func inFlight(_ disk: String) -> UInt64? {
    SystemFile.numbers("/sys/block/\(disk)/inflight").flatMap { $0.count > 1 ? $0[1] : nil }
  }

  /// Bytes; nil where the disk is gone.
  static func size(_ disk: String) -> UInt64? {
    SystemFile.numbers("/sys/block/\(disk)/size")?.first.map { $0 * 512 }
  }
}

/// What the tracker's program counted, in the kernel's terms.
struct SeenSectors {
  /// Written in any way.
  var written: UInt64
  var discarded: UInt64

  /// Comparable with the `written` of `counters`.
  func written(comparedWith counters: DiskCounters) -> UInt64 {
    counters.discarded == nil ? written + discarded : written
  }
}
