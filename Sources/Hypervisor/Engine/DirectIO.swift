import Glibc

/// Whether a filesystem takes O_DIRECT (tmpfs and some network filesystems do not).
enum DirectIO {
  /// O_DIRECT, a macro that Swift does not see: the numbers of asm/fcntl.h.
  #if arch(arm64)
    private static let flag: CInt = 0o200000
  #else
    private static let flag: CInt = 0o40000
  #endif

  static func works(in folder: String) -> Bool {
    let path = "\(folder)/direct-io.part"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flag, 0o600)
    defer { unlink(path) }
    guard descriptor >= 0 else { return false }
    close(descriptor)
    return true
  }
}
