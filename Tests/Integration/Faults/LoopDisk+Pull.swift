import Foundation
import Glibc

extension LoopDisk {
  /// The disk is gone at once, in the midst of whatever reads it: it has no byte any more, as one that is pulled out.
  func pull() throws { try setOffset(to: try FileHandle(forReadingFrom: URL(filePath: image)).seekToEnd()) }

  /// The disk is back, with all its bytes.
  func putBack() throws { try setOffset(to: 0) }

  /// Where in its file the device begins.
  private func setOffset(to offset: UInt64) throws {
    // `LOOP_GET_STATUS64`, `LOOP_SET_STATUS64` and `struct loop_info64` of linux/loop.h.
    let (getStatus, setStatus): (UInt, UInt) = (0x4C05, 0x4C04)
    let (size, offsetOfOffset) = (232, 24)
    let device = open(path, O_RDWR | O_CLOEXEC)
    guard device >= 0 else { throw BenchFailure(what: "open \(path): \(String(cString: strerror(errno)))") }
    defer { close(device) }
    try withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { info in
      guard let memory = info.baseAddress, ioctl(device, getStatus, memory) == 0 else {
        throw failure("LOOP_GET_STATUS64")
      }
      info.storeBytes(of: offset, toByteOffset: offsetOfOffset, as: UInt64.self)
      // Refused while somebody reads through the page cache, as whatever looks at new devices does.
      for _ in 0..<100 {
        if ioctl(device, setStatus, memory) == 0 { return }
        guard errno == EAGAIN || errno == EBUSY else { break }
        usleep(10_000)
      }
      throw failure("LOOP_SET_STATUS64")
    }
  }

  private func failure(_ call: String) -> BenchFailure {
    BenchFailure(what: "ioctl \(call) on \(path): \(String(cString: strerror(errno)))")
  }
}
