public import Blocks
internal import CLinuxBlock
internal import Glibc
internal import SystemPackage

/// A file whose bytes are the volume's bytes, whatever they look like: formats are never probed, so a guest that writes
/// an image header to its own first sector still gets it back as data. Sparse where zeros were asked for.
public final class RawFile: BlockWriter {
  public let path: String
  public let size: UInt64
  public let alignment = 1
  private let file: OwnedDescriptor

  /// Opens an existing file; its length is the volume's size.
  public init(path: String, readOnly: Bool = false) throws(BlockError) {
    do throws(Errno) {
      file = try OwnedDescriptor(opening: path, flags: readOnly ? O_RDONLY : O_RDWR)
    } catch {
      throw BlockError(.cannotOpen, call: "open", device: path, error: error)
    }
    var status = stat()
    guard fstat(file.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw BlockError(.cannotOpen, call: "fstat", device: path, reason: "not a regular file")
    }
    self.path = path
    size = UInt64(status.st_size)
  }

  /// Creates a file of `size` bytes that reads as zeros and takes no space yet. Fails where `path` exists.
  public static func create(path: String, size: UInt64) throws(BlockError) -> RawFile {
    do throws(Errno) {
      let created = try OwnedDescriptor(opening: path, flags: O_RDWR | O_CREAT | O_EXCL)
      if ftruncate(created.rawValue, off_t(size)) != 0 { throw Errno(rawValue: errno) }
    } catch {
      throw BlockError(.cannotOpen, call: "create", device: path, error: error)
    }
    return try RawFile(path: path)
  }

  private var io: DescriptorIO { DescriptorIO(descriptor: file.rawValue, device: path) }

  public func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(BlockError) {
    try check("pread", offset, bytes.byteCount, of: path)
    try bytes.withUnsafeMutableBytes { buffer throws(BlockError) in
      do throws(BlockError) {
        try io.read(buffer, at: offset)
      } catch {
        guard error.code == .unreadable else { throw error }
        try io.narrow(buffer, at: offset, step: 512)
      }
    }
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError) {
    try check("pwrite", offset, bytes.byteCount, of: path)
    try bytes.withUnsafeBytes { buffer throws(BlockError) in try io.write(buffer, at: offset) }
  }

  public func zero(_ range: Range<UInt64>) throws(BlockError) {
    try check("fallocate", range, of: path)
    if range.isEmpty { return }
    let result = lb_punch(file.rawValue, range.lowerBound, range.upperBound - range.lowerBound)
    if result == -EOPNOTSUPP { return try writeZeros(range) }
    if result < 0 {
      let error = Errno(rawValue: -result)
      throw BlockError(.unwritable, call: "fallocate", device: path, offset: range.lowerBound, error: error)
    }
  }

  public func flush() throws(BlockError) { try io.flush() }

  private func writeZeros(_ range: Range<UInt64>) throws(BlockError) {
    let zeros = AlignedBuffer(count: 1 << 20)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(UInt64(zeros.count), range.upperBound - offset))
      try io.write(UnsafeRawBufferPointer(rebasing: zeros.unsafeBytes[..<count]), at: offset)
      offset += UInt64(count)
    }
  }
}
