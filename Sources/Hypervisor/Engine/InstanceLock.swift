import Glibc

/// Keeps a second daemon off the same state folder for as long as it lives; the kernel lets go when the process ends.
final class InstanceLock: Sendable {
  private let descriptor: CInt

  init(path: String) throws {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw HypervisorError(.failed, "cannot open the lock \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw HypervisorError(.inUse, "another hypervisor holds \(path); end it first or choose another state folder")
    }
  }

  deinit { close(descriptor) }
}
