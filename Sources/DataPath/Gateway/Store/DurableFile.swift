import Glibc
import SystemPackage
import Volumes

/// Whole reads and writes on a file of the gateway's own folder.
struct DurableFile: ~Copyable, Sendable {
  let path: String
  private let file: OwnedDescriptor

  /// - Parameter flags: of `open`; a file that is created has mode 0600.
  init(_ path: String, flags: Int32 = O_RDWR) throws(StoreError) {
    self.path = path
    do throws(Errno) { file = try OwnedDescriptor(opening: path, flags: flags) } catch {
      throw StoreError("open", path, error: error)
    }
  }

  func length() throws(StoreError) -> UInt64 {
    var status = stat()
    guard fstat(file.rawValue, &status) == 0 else { throw StoreError("fstat", path) }
    return UInt64(status.st_size)
  }

  func truncate(to length: UInt64) throws(StoreError) {
    guard ftruncate(file.rawValue, off_t(length)) == 0 else { throw StoreError("ftruncate", path) }
  }

  /// The bytes of `range` that exist; fewer where the file ends.
  func read(_ range: Range<UInt64>) throws(StoreError) -> [UInt8] {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(range.upperBound - range.lowerBound)) { buffer, count in
      while count < buffer.count {
        let got = pread(
          file.rawValue, buffer.baseAddress.map { $0 + count }, buffer.count - count,
          off_t(range.lowerBound) + off_t(count))
        if got < 0, errno == EINTR { continue }
        failed = got < 0
        if got <= 0 { return }
        count += got
      }
    }
    if failed { throw StoreError("pread", path) }
    return bytes
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(StoreError) {
    try bytes.withUnsafeBytes { buffer throws(StoreError) in
      var done = 0
      while done < buffer.count {
        let put = pwrite(
          file.rawValue, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
        if put < 0, errno == EINTR { continue }
        guard put > 0 else { throw StoreError("pwrite", path) }
        done += put
      }
    }
  }

  /// Returns once everything written is durable.
  func sync() throws(StoreError) {
    while fdatasync(file.rawValue) != 0 {
      guard errno == EINTR else { throw StoreError("fdatasync", path) }
    }
  }

  /// Copies all of this file to `target`, which is empty; what is a hole stays one.
  func copy(to target: borrowing DurableFile) throws(StoreError) {
    let end = try length()
    var offset: UInt64 = 0
    while let data = try nextData(from: offset) {
      offset = data.lowerBound
      while offset < data.upperBound {
        let bytes = try read(offset..<min(data.upperBound, offset + 256 << 10))
        guard !bytes.isEmpty else { throw StoreError("pread", path, reason: "the file ends early") }
        try target.write(bytes.span.bytes, at: offset)
        offset += UInt64(bytes.count)
      }
    }
    try target.truncate(to: end)
  }

  /// The next bytes from `offset` on that are no hole; nil where only a hole or nothing follows.
  private func nextData(from offset: UInt64) throws(StoreError) -> Range<UInt64>? {
    // `lseek(2)`: SEEK_DATA and SEEK_HOLE, which the C library shows to its own dialect only.
    let start = lseek(file.rawValue, off_t(offset), 3)
    if start < 0, errno == ENXIO { return nil }
    let end = start < 0 ? -1 : lseek(file.rawValue, start, 4)
    guard end >= 0 else { throw StoreError("lseek", path) }
    return UInt64(start)..<UInt64(end)
  }

  /// Locks the file against other processes for as long as it is open; false where another holds it.
  func lockExclusively() -> Bool { flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 }

  /// Gives the lock back before the file is closed.
  func unlock() { _ = flock(file.rawValue, LOCK_UN) }
}
