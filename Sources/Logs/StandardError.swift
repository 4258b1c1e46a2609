import Glibc
import Synchronization

/// Standard error as a place for lines, which can be held back while a write could block for ever.
public enum StandardError {
  /// Lines kept while held; what comes after them is dropped.
  static let heldLines = 256

  /// Held lines; nil while nothing is held. The lock is never kept over a write, which may block.
  private static let held = Mutex<[String]?>(nil)

  /// Writes a line with one `write`, so that lines of several processes do not mix.
  @Sendable public static func write(_ line: String) {
    let isHeld = held.withLock { held in
      guard held != nil else { return false }
      if held?.count ?? 0 < heldLines { held?.append(line) }
      return true
    }
    if !isHeld { put(line) }
  }

  /// From `true` to `false` lines stay in memory, because whoever reads our standard error may be waiting for a
  /// filesystem that waits for us.
  public static func hold(_ on: Bool) {
    let lines = held.withLock { held -> [String] in
      let lines = on ? [] : held ?? []
      held = on ? held ?? [] : nil
      return lines
    }
    for line in lines { put(line) }
  }

  private static func put(_ line: String) {
    var line = line
    line.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  }
}
