import Glibc

/// A folder that one process works in at a time: a lock on its file `lock`, which ends with the process.
public struct FolderLock: Sendable {
  private let descriptor: CInt

  /// - Parameter holder: who works there, for the error.
  /// - Throws: `ConfigurationError` where another process holds it.
  public init(_ folder: String, holder: String) throws {
    descriptor = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      if descriptor >= 0 { close(descriptor) }
      throw ConfigurationError(
        "Another \(holder) runs on \(folder).", remedy: "Use that one or end it, or choose another folder.")
    }
  }

  public func release() { close(descriptor) }
}
