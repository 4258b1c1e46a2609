/// Writes the `newc` form of cpio, the one the Linux kernel unpacks as an initramfs.
struct CPIOArchive: Sendable {
  private(set) var bytes: [UInt8] = []
  private var nextInode: UInt32 = 1

  init() {}

  /// Adds a directory; the kernel leaves one that exists as it is.
  mutating func addDirectory(_ path: String) { add(path, mode: 0o040755, content: []) }

  /// Adds a regular file.
  mutating func addFile(_ path: String, _ content: [UInt8], mode: UInt32 = 0o644) {
    add(path, mode: 0o100000 | mode, content: content)
  }

  /// Ends the archive and fills it to whole sectors, so that another may follow.
  mutating func finish() {
    nextInode = 0
    add("TRAILER!!!", mode: 0, content: [])
    pad(to: 512)
  }

  private mutating func add(_ path: String, mode: UInt32, content: [UInt8]) {
    let links: UInt32 = mode & 0o170000 == 0o040000 ? 2 : 1
    let name = Array(path.utf8) + [0]
    let fields: [UInt32] = [
      nextInode, mode, 0, 0, links, 0, UInt32(content.count), 0, 0, 0, 0, UInt32(name.count), 0
    ]
    bytes += Array("070701".utf8)
    for field in fields { bytes += Self.hex(field) }
    bytes += name
    pad(to: 4)
    bytes += content
    pad(to: 4)
    nextInode += 1
  }

  private mutating func pad(to alignment: Int) {
    let excess = bytes.count % alignment
    if excess > 0 { bytes += [UInt8](repeating: 0, count: alignment - excess) }
  }

  private static func hex(_ value: UInt32) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return (0..<8).map { digits[Int(value >> (28 - 4 * UInt32($0)) & 15)] }
  }
}
