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
    let table = PartitionTable(size: size, sectorSize: sectorSize(), read: { bytes(at: $0, count: $1) })
    let whole = Superblock.content(read: { bytes(at: $0, count: $1) })
    let partitions = table.partitions.map { partition in
      var partition = partition
      partition.content = Superblock.content { bytes(at: partition.start + $0, count: $1) }
      return partition
    }
    return BlockInventory.Disk(
      name: name, table: table.kind.rawValue, partitions: partitions, content: table.kind == .none ? whole : nil,
      hasBootCode: first.prefix(440).contains { $0 != 0 })
  }

  /// What lies at the start of the device.
  public func content() -> BlockInventory.Content? { Superblock.content(read: { bytes(at: $0, count: $1) }) }

  /// Up to `count` bytes: fewer at the end of the disk or where it cannot be read.
  private func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    guard offset < UInt64(Int64.max) else { return [] }
    var buffer = [UInt8](repeating: 0, count: count)
    let read = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, off_t(offset)) }
    return Array(buffer.prefix(max(0, read)))
  }

  private func sectorSize() -> UInt64 {
    var size: Int32 = 0
    let request: UInt = 0x1268  // BLKSSZGET, which is a macro with a cast.
    return ioctl(descriptor, request, &size) == 0 && size >= 512 ? UInt64(size) : 512
  }
}
