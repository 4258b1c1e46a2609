internal import Glibc

/// Whether every byte is zero. Runs at the speed of memory: the bytes are compared with themselves, one byte on.
public func isZero(_ bytes: RawSpan) -> Bool {
  bytes.withUnsafeBytes { buffer in
    guard let start = buffer.baseAddress, buffer.count > 0 else { return true }
    return buffer[0] == 0 && memcmp(start, start + 1, buffer.count - 1) == 0
  }
}
