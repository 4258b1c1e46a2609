import Glibc

/// Waiting on a thread that may block.
enum Pause {
  static func milliseconds(_ count: UInt32) { usleep(count * 1000) }
}
