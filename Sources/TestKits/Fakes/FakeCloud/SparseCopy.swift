import Glibc
import Providers

/// Sparse files: made, and copied with their holes.
enum SparseCopy {
  /// `FICLONE`: shares the blocks where the filesystem can.
  private static let clone: UInt = 0x4004_9409
  /// `SEEK_DATA` and `SEEK_HOLE`, which the C module hides.
  private static let (seekData, seekHole): (CInt, CInt) = (3, 4)

  static func create(_ path: String, size: UInt64) throws {
    let file = try opened(path, O_RDWR | O_CREAT | O_TRUNC)
    defer { close(file) }
    guard ftruncate(file, Int(size)) == 0, fsync(file) == 0 else { throw failure("make", path) }
  }

  /// - Parameter size: of the copy in bytes; beyond the source's end it reads as zeros.
  static func copy(_ source: String, to path: String, size: UInt64) throws {
    let input = try opened(source, O_RDONLY)
    defer { close(input) }
    let output = try opened(path, O_RDWR | O_CREAT | O_TRUNC)
    defer { close(output) }
    if ioctl(output, clone, input) != 0 { try copyData(input, output, path) }
    guard ftruncate(output, Int(size)) == 0, fsync(output) == 0 else { throw failure("copy to", path) }
  }

  private static func copyData(_ input: CInt, _ output: CInt, _ path: String) throws {
    let end = lseek(input, 0, SEEK_END)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var position = lseek(input, 0, seekData)
    while position >= 0, position < end {
      let hole = lseek(input, position, seekHole)
      while position < hole {
        let count = pread(input, buffer.baseAddress, min(buffer.count, hole - position), position)
        guard count > 0, pwrite(output, buffer.baseAddress, count, position) == count else {
          throw failure("copy to", path)
        }
        position += count
      }
      position = lseek(input, position, seekData)
    }
  }

  private static func opened(_ path: String, _ flags: CInt) throws -> CInt {
    let file = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw failure("open", path) }
    return file
  }

  private static func failure(_ what: String, _ path: String) -> ProviderError {
    ProviderError(.failed, "cannot \(what) \(path): \(String(cString: strerror(errno)))")
  }
}
