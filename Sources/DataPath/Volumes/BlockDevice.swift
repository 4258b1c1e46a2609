public import Blocks
internal import CLinuxBlock
internal import Synchronization
internal import SystemPackage

/// A block device node, read and written past the page cache. Memory that is not aligned as direct I/O wants it is
/// bounced through aligned buffers.
public final class BlockDevice: BlockWriter {
  public let path: String
  public let size: UInt64
  /// The logical sector size.
  public let alignment: Int
  private let device: OwnedDescriptor
  private let buffers = Mutex<[AlignedBuffer]>([])

  /// Bytes bounced at a time.
  private static let bounce = 1 << 20

  public init(path: String, readOnly: Bool = false) throws(BlockError) {
    let opened = lb_open_direct(path, readOnly ? 1 : 0)
    if opened < 0 {
      throw BlockError(.cannotOpen, call: "open", device: path, error: Errno(rawValue: -opened))
    }
    device = OwnedDescriptor(owning: opened)
    let bytes = lb_device_size(device.rawValue)
    let sector = lb_sector_size(device.rawValue)
    guard bytes >= 0, sector > 0 else {
      throw BlockError(.cannotOpen, call: "ioctl BLKGETSIZE64", device: path, reason: "not a block device")
    }
    self.path = path
    size = UInt64(bytes)
    alignment = Int(sector)
  }

  private var io: DescriptorIO { DescriptorIO(descriptor: device.rawValue, device: path) }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try check("pread", offset, bytes.byteCount, of: path)
    try bytes.withUnsafeMutableBytes { target throws(BlockError) in
      if isAligned(target.baseAddress) { return try readAligned(target, at: offset) }
      try bounced(target.count) { range, buffer throws(BlockError) in
        try readAligned(buffer, at: offset + UInt64(range.lowerBound))
        UnsafeMutableRawBufferPointer(rebasing: target[range]).copyMemory(from: UnsafeRawBufferPointer(buffer))
      }
    }
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    try check("pwrite", offset, bytes.byteCount, of: path)
    try bytes.withUnsafeBytes { source throws(BlockError) in
      if isAligned(source.baseAddress) { return try writeAligned(source, at: offset) }
      try bounced(source.count) { range, buffer throws(BlockError) in
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
        try writeAligned(UnsafeRawBufferPointer(buffer), at: offset + UInt64(range.lowerBound))
      }
    }
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) {
    try check("fallocate", range, of: path)
    if range.isEmpty { return }
    let length = range.upperBound - range.lowerBound
    // Where the device cannot give space back, the kernel writes zeros.
    var result = lb_punch(device.rawValue, range.lowerBound, length)
    if result < 0 { result = lb_device_zero(device.rawValue, range.lowerBound, length) }
    if result < 0 {
      let error = Errno(rawValue: -result)
      throw ifStillThere(
        BlockError(.unwritable, call: "ioctl BLKZEROOUT", device: path, offset: range.lowerBound, error: error))
    }
  }

  public func flush() throws(BlockError) { try io.flush() }

  private func isAligned(_ address: UnsafeRawPointer?) -> Bool {
    address.map { Int(bitPattern: $0) % alignment == 0 } ?? true
  }

  private func readAligned(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(BlockError) {
    do throws(BlockError) {
      try io.read(buffer, at: offset)
    } catch {
      guard error.code == .unreadable else { throw error }
      if ifStillThere(error).code == .vanished { throw ifStillThere(error) }
      try io.narrow(buffer, at: offset, step: alignment)
    }
  }

  private func writeAligned(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(BlockError) {
    do throws(BlockError) { try io.write(buffer, at: offset) } catch { throw ifStillThere(error) }
  }

  /// A disk that was pulled out answers EIO like a bad sector, but has no size any more.
  private func ifStillThere(_ error: BlockError) -> BlockError {
    if lb_device_size(device.rawValue) >= Int64(size) { return error }
    return BlockError(
      .vanished, call: error.call, device: path, offset: error.offset, reason: "\(error.reason); the disk is gone")
  }

  /// Calls `body` for one part of `count` bytes after the other, with an aligned buffer of that part's size.
  private func bounced(
    _ count: Int, _ body: (Range<Int>, UnsafeMutableRawBufferPointer) throws(BlockError) -> Void
  ) throws(BlockError) {
    let buffer = buffers.withLock { $0.popLast() } ?? AlignedBuffer(count: Self.bounce)
    defer { buffers.withLock { $0.append(buffer) } }
    var done = 0
    while done < count {
      let end = min(done + buffer.count, count)
      try body(done..<end, UnsafeMutableRawBufferPointer(rebasing: buffer.unsafeMutableBytes[..<(end - done)]))
      done = end
    }
  }
}
