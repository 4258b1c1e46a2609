import Blocks
import Foundation
import Source
import Testing
import Volumes

@Suite("Used extents", .serialized, .timeLimit(.minutes(3)))
struct UsedExtentsTests {
  @Test(
    "What is reported free can be scribbled over: the filesystem check and every file stay right",
    arguments: ["ext4", "xfs"])
  func freeIsFree(type: String) throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount(type)
      try Self.fill(disk.mountPoint)
      let sums = try Self.checksums(disk.mountPoint)
      // Asked on the running filesystem, with unwritten pages in memory.
      let used = UsedExtents.of(disk: disk.name, size: 320 << 20)
      let copy = disk.folder + "/copy.img"
      let still = try FreezeGuard(MountedFilesystem.on(disks: [disk.name]), limit: .seconds(60))
      try still.freeze()
      let copied = Result { try Self.copy(disk.path, to: copy, only: used) }
      #expect(still.thaw())
      let scribbled = try copied.get()
      #expect(scribbled > 100 << 20, "most of the disk is free, and is said to be")
      try Self.check(copy, type, sums, disk)
    }
  }

  @Test("Without a filesystem that answers, the whole disk is used")
  func wholeDisk() throws {
    try LoopDisk.with(size: 64 << 20) { disk in
      #expect(UsedExtents.of(disk: disk.name, size: 64 << 20) == [0..<64 << 20])
    }
  }

  /// Files of many sizes, some deleted again, the last ones not yet written back.
  private static func fill(_ folder: String) throws {
    try run(
      "bash", "-c",
      """
      cd "$1" && for i in $(seq 1 120); do mkdir -p d$((i % 7)); \\
      head -c $((RANDOM * (i % 9 + 1))) /dev/urandom >d$((i % 7))/f$i; done
      for i in $(seq 3 4 120); do rm -f d*/f$i; done; sync -f .
      for i in $(seq 200 230); do head -c $((RANDOM * 3)) /dev/urandom >f$i; done
      fallocate -l 3M preallocated; truncate -s 5M sparse; dd if=/dev/urandom of=sparse bs=4k count=1 seek=700 conv=notrunc 2>&1
      """, "fill", folder)
  }

  private static func checksums(_ folder: String) throws -> String {
    try run("bash", "-c", "cd \"$1\" && find . -type f -print0 | sort -z | xargs -0 sha256sum", "sums", folder)
  }

  /// Copies the used ranges of a device into a file, and fills all others with 0xa5. Returns how many those were.
  private static func copy(_ path: String, to copy: String, only used: [Range<UInt64>]) throws -> UInt64 {
    let device = try BlockDevice(path: path, readOnly: true)
    let file = try RawFile.create(path: copy, size: device.size)
    let buffer = AlignedBuffer(count: 1 << 20)
    var scribbled: UInt64 = 0
    var end: UInt64 = 0
    for range in used + [device.size..<device.size] {
      buffer.unsafeMutableBytes.initializeMemory(as: UInt8.self, repeating: 0xa5)
      try each(end..<range.lowerBound, buffer) { _, bytes, offset in
        try file.write(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes)), at: offset)
        scribbled += UInt64(bytes.count)
      }
      try each(range, buffer) { _, bytes, offset in
        var target = unsafe MutableRawSpan(_unsafeBytes: bytes)
        try device.read(into: &target, at: offset)
        try file.write(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes)), at: offset)
      }
      end = range.upperBound
    }
    return scribbled
  }

  private static func each(
    _ range: Range<UInt64>, _ buffer: AlignedBuffer,
    _ body: (AlignedBuffer, UnsafeMutableRawBufferPointer, UInt64) throws -> Void
  ) throws {
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(UInt64(buffer.count), range.upperBound - offset))
      try body(buffer, UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[..<count]), offset)
      offset += UInt64(count)
    }
  }

  /// Checks the copy as a filesystem, and every file in it.
  private static func check(_ image: String, _ type: String, _ sums: String, _ disk: LoopDisk) throws {
    if type == "ext4" { try run("e2fsck", "-fn", image) }
    let mountPoint = disk.folder + "/copy"
    try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: true)
    try run("mount", "-o", type == "xfs" ? "loop,nouuid" : "loop", image, mountPoint)
    let found = Result { try checksums(mountPoint) }
    try run("umount", mountPoint)
    #expect(try found.get() == sums)
    #expect(sums.split(separator: "\n").count > 100)
    if type == "xfs" { try run("xfs_repair", "-n", image) }
  }
}
