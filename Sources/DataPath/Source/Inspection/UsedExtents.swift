internal import CLinuxBlock
internal import Glibc
internal import Replication
internal import SystemPackage
internal import Volumes

/// Which bytes of a disk have to be copied, because something may use them.
///
/// Free is only what a mounted ext4 or xfs itself says is free. Everything else counts as used: other filesystems, swap,
/// LVM, md, space outside of partitions, and whatever a filesystem's answer leaves out. Ask after tracking began: what
/// is allocated later is then caught as a change.
public enum UsedExtents {
  /// The used byte ranges of a disk, ascending and apart from each other, in whole leaves: a leaf is left out only if all
  /// of it is free.
  ///
  /// - Parameter disk: kernel name: `sda`.
  /// - Parameter size: bytes of the disk.
  public static func of(disk: String, size: UInt64) -> [Range<UInt64>] {
    let devices = DeviceGraph(root: "")
    var free: [Range<UInt64>] = []
    for filesystem in MountTable(root: "").filesystems where answering.contains(filesystem.type) {
      guard devices.whole(filesystem.device) == disk, let number = devices.number(filesystem.device),
        let length = devices.size(filesystem.device)
      else { continue }
      let start = devices.start(filesystem.device)
      // A filesystem that cannot answer is used as a whole.
      let found = (try? freeRanges(of: filesystem, device: number, length: length)) ?? []
      free += found.map { $0.lowerBound + start..<$0.upperBound + start }
    }
    return used(size: size, free: free)
  }

  private static let answering: Set<String> = ["ext4", "xfs"]

  /// The leaves of a disk that are not wholly inside one of `free`, joined.
  static func used(size: UInt64, free: [Range<UInt64>]) -> [Range<UInt64>] {
    var used: [Range<UInt64>] = []
    var end: UInt64 = 0
    for range in join(free) {
      let first = (range.lowerBound + Leaf.size - 1) / Leaf.size * Leaf.size
      let last = range.upperBound >= size ? size : range.upperBound / Leaf.size * Leaf.size
      guard first < last else { continue }
      if end < first { used.append(end..<first) }
      end = last
    }
    if end < size { used.append(end..<size) }
    return used
  }

  /// Ascending, neighbours joined.
  static func join(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    var joined: [Range<UInt64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = joined.last, range.lowerBound <= last.upperBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    return joined
  }

  /// The free byte ranges of a mounted filesystem, from the start of its device.
  private static func freeRanges(
    of filesystem: MountedFilesystem, device: UInt64, length: UInt64
  ) throws(Errno) -> [Range<UInt64>] {
    let directory = try OwnedDescriptor(opening: filesystem.mountPoint, flags: O_RDONLY | O_DIRECTORY)
    // What is allocated in memory only becomes visible once it is written back.
    if case let result = lb_syncfs(directory.rawValue), result < 0 { throw Errno(rawValue: -result) }
    var cursor = [UInt8](repeating: 0, count: Int(LB_FSMAP_CURSOR))
    var records = [lb_fsmap_record](repeating: lb_fsmap_record(), count: 1024)
    var free: [Range<UInt64>] = []
    while true {
      let count = lb_fsmap_next(directory.rawValue, &cursor, &records, Int32(records.count))
      if count < 0 { throw Errno(rawValue: -count) }
      if count == 0 { return free }
      // Records of other devices are those of an external log or a real-time volume.
      for record in records[..<Int(count)] where record.free != 0 && record.device == device {
        let end = min(record.physical + record.length, length)
        if record.physical < end { free.append(record.physical..<end) }
      }
    }
  }
}
