import Glibc
import Repair

/// Mounting, and what is mounted.
struct MountTable {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// The device mounted at `folder`; nil when none is.
  func device(mountedAt folder: String) -> String? {
    var folder = folder
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    let mounts = GuestFiles(root: "/").lines(of: "/proc/self/mounts").map { $0.split(separator: " ") }
    return mounts.last { $0.count > 1 && $0[1] == folder }.map { String($0[0]) }
  }

  /// Mounts for writing; nothing on it can become a device or a program here.
  func mount(_ device: String, at folder: String, type: String, options: String = "") throws {
    let flags = UInt(MS_NODEV) | UInt(MS_NOSUID) | UInt(MS_NOEXEC)
    let result = options.withCString { Glibc.mount(device, folder, type, flags, $0) }
    guard result == 0 else {
      throw Failure(description: "mount \(device) (\(type)): \(String(cString: strerror(errno)))")
    }
  }

  func unmount(_ folder: String) throws {
    guard umount2(folder, 0) == 0 else {
      throw Failure(description: "unmount \(folder): \(String(cString: strerror(errno)))")
    }
  }
}
