import FoundationEssentials
import Glibc

/// File operations that have reached the disk when they return.
enum DurableFile {
  /// Creates or replaces `path` with mode 0600 and makes its content durable.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = try check("open", path, open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600))
    defer { close(descriptor) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
      if count < 0 && errno == EINTR { continue }
      written += Int(try check("write", path, count))
    }
    try check("fsync", path, fsync(descriptor))
  }

  /// Makes an existing file's content durable.
  static func flush(_ path: String) throws {
    let descriptor = try check("open", path, open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))
    defer { close(descriptor) }
    try check("fsync", path, fsync(descriptor))
  }

  /// Moves `path` over `place` in the same folder.
  static func rename(_ path: String, to place: String) throws {
    try check("rename", place, Glibc.rename(path, place))
    try flush(folder(of: place))
  }

  /// Removes the file; succeeds when there is none.
  static func remove(_ path: String) throws {
    if unlink(path) != 0 {
      if errno == ENOENT { return }
      try check("unlink", path, -1)
    }
    try flush(folder(of: path))
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder)
  }

  private static func folder(of path: String) -> String {
    String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }

  @discardableResult
  private static func check<Value: SignedInteger>(_ call: String, _ path: String, _ value: Value) throws -> Value {
    guard value < 0 else { return value }
    throw HypervisorError(.failed, "\(call) of \(path) failed: \(String(cString: strerror(errno)))")
  }
}
