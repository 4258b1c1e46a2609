internal import Blocks
internal import Glibc
internal import SystemPackage

/// Whole reads and writes on a descriptor, with errors that name the device and the byte.
struct DescriptorIO {
  let descriptor: Int32
  let device: String

  /// Fills `buffer`. Throws `.unreadable` at the first byte the system did not give, which may lie before the one that
  /// is bad; `.vanished` where the device ends before `buffer` does.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(BlockError) {
    var done = 0
    while done < buffer.count {
      let got = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
      if got > 0 {
        done += got
      } else if got == 0 {
        throw BlockError(
          .vanished, call: "pread", device: device, offset: offset + UInt64(done), reason: "the device ends here now")
      } else if errno != EINTR {
        let error = Errno(rawValue: errno)
        throw BlockError(.unreadable, call: "pread", device: device, offset: offset + UInt64(done), error: error)
      }
    }
  }

  /// Writes all of `buffer`.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(BlockError) {
    var done = 0
    while done < buffer.count {
      let put = pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
      if put > 0 {
        done += put
      } else if put == 0 || errno != EINTR {
        let error = put == 0 ? Errno.ioError : Errno(rawValue: errno)
        throw BlockError(.unwritable, call: "pwrite", device: device, offset: offset + UInt64(done), error: error)
      }
    }
  }

  /// Reads `buffer` in ever smaller parts, so that the error names the first byte of the first part of `step` bytes
  /// that cannot be read. Returns where everything could be read after all.
  func narrow(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, step: Int) throws(BlockError) {
    if buffer.count <= step { return try read(buffer, at: offset) }
    let half = (buffer.count / step + 1) / 2 * step
    for part in [0..<half, half..<buffer.count] {
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[part])
      do throws(BlockError) {
        try read(piece, at: offset + UInt64(part.lowerBound))
      } catch {
        guard error.code == .unreadable else { throw error }
        try narrow(piece, at: offset + UInt64(part.lowerBound), step: step)
      }
    }
  }

  func flush() throws(BlockError) {
    while fdatasync(descriptor) != 0 {
      if errno == EINTR { continue }
      throw BlockError(
        .notDurable, call: "fdatasync", device: device,
        reason: "\(Errno(rawValue: errno)); what was written since the last flush must be written again")
    }
  }
}
