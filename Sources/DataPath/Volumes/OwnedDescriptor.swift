internal import CLinuxBlock
internal import Glibc
public import SystemPackage

/// A file descriptor with one owner, closed when the owner ends. Never inherited by programs that are started.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// For calls that want the descriptor; valid while the owner lives.
  public let descriptor: FileDescriptor

  public var rawValue: Int32 { descriptor.rawValue }

  /// Takes over `rawValue`, which nobody else may close.
  public init(owning rawValue: Int32) { descriptor = FileDescriptor(rawValue: rawValue) }

  /// Opens `path` with the `O_` flags given (close-on-exec is added).
  ///
  /// - Parameter mode: permissions of a file that `O_CREAT` makes.
  public init(opening path: String, flags: Int32, mode: UInt32 = 0o600) throws(Errno) {
    var opened: Int32
    repeat { opened = open(path, flags | O_CLOEXEC, mode) } while opened < 0 && errno == EINTR
    if opened < 0 { throw Errno(rawValue: errno) }
    descriptor = FileDescriptor(rawValue: opened)
  }

  deinit { _ = close(descriptor.rawValue) }
}
