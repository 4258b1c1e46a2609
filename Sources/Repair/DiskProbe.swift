import DiskFormats
import Glibc

/// Reads a disk's partition table and superblocks: a device, or a file that holds a disk.
public struct DiskProbe: ~Copyable {
  private let descriptor: Int32
  private let size: UInt64

  /// - Throws: `GuestFiles.Failure` when the disk cannot be opened.
  public init(_ path: String) throws {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw GuestFiles.Failure.system("open", path) }
    size = UInt64(max(0, lseek(descriptor, 0, SEEK_END)))
  }

  deinit { close(descriptor) }

  /// The disk as the inventory describes it.
  /// - Parameter name: kernel name to give it.
  public func disk(named name: String) -> BlockInventory.Disk {
    let first = bytes(at: 0, count: 512)
    let table = PartitionTable.read(size: size, sectorSize: sectorSize()) { bytes(at: $0, count: $1) }
    // The frame around logical partitions holds nothing of its own.
    let partitions = table.entries.filter { !$0.isExtended }.map { entry in
      BlockInventory.Partition(
        number: entry.number, start: entry.start, size: entry.size, type: entry.type, uuid: entry.uuid,
        content: content(at: entry.start, length: entry.size))
    }
    return BlockInventory.Disk(
      name: name, table: table.kind.rawValue, partitions: partitions, content: table.kind == .none ? content() : nil,
      hasBootCode: first.prefix(440).contains { $0 != 0 })
  }

  /// What lies at the start of the device.
  public func content() -> BlockInventory.Content? { content(at: 0, length: size) }

  private func content(at start: UInt64, length: UInt64) -> BlockInventory.Content? {
    Superblock.read(start: start, length: length) { bytes(at: $0, count: $1) }.map {
      BlockInventory.Content(type: $0.type, uuid: $0.uuid, label: $0.label)
    }
  }

  /// Up to `count` bytes: fewer at the end of the disk or where it cannot be read.
  private func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    guard offset < UInt64(Int64.max) else { return [] }
    var buffer = [UInt8](repeating: 0, count: count)
    let read = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
    return Array(buffer.prefix(max(0, read)))
  }

  private func sectorSize() -> Int {
    var size: Int32 = 0
    let request: UInt = 0x1268  // BLKSSZGET, which is a macro with a cast.
    return ioctl(descriptor, request, &size) == 0 && size >= 512 ? Int(size) : 512
  }
}
