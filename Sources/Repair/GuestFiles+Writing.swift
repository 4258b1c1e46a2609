import CLinuxRepair
import Glibc

extension GuestFiles {
  /// Replaces a file durably and atomically; owner, mode and extended attributes stay as they were.
  /// - Parameters:
  ///   - mode: for a file that is new.
  ///   - original: where the replaced file is kept, unless one is kept there already; nil to keep none.
  func replace(_ path: String, with bytes: [UInt8], mode: UInt32, keepingAt original: String?) throws {
    let target = hostPath(path)
    let new = target + ".godwit-new"
    try makeFolder(of: path)
    try write(bytes, to: new, like: target, mode: mode)
    if let original, isFile(path), !exists(original) { try copy(path, to: original) }
    guard rename(new, target) == 0 else { throw Failure.system("rename", path) }
  }

  /// Moves a file away, to another filesystem if need be.
  func move(_ path: String, to original: String) throws {
    if isFile(path), !exists(original) { try copy(path, to: original) }
    guard unlink(hostPath(path, followingLast: false)) == 0 else { throw Failure.system("remove", path) }
  }

  /// Removes a file, a link, or a folder and all it holds.
  func erase(_ path: String) throws {
    let target = hostPath(path, followingLast: false)
    var status = stat()
    guard lstat(target, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in names(in: path) { try erase(path + "/" + name) }
      guard rmdir(target) == 0 else { throw Failure.system("remove", path) }
    } else {
      guard unlink(target) == 0 else { throw Failure.system("remove", path) }
    }
  }

  /// Makes everything on all mounted filesystems durable.
  func synchronise() { sync() }

  /// A second name for the same file where the filesystem can, since replacing leaves it untouched; else its bytes.
  private func copy(_ path: String, to original: String) throws {
    try makeFolder(of: original)
    let (from, to) = (hostPath(path), hostPath(original, followingLast: false))
    if link(from, to) == 0 { return }
    let new = to + ".godwit-new"
    try write(read(path), to: new, like: from, mode: 0o600)
    guard rename(new, to) == 0 else { throw Failure.system("rename", original) }
  }

  private func makeFolder(of path: String) throws {
    let parts = path.split(separator: "/").dropLast()
    for depth in parts.indices {
      let folder = "/" + parts[...depth].joined(separator: "/")
      guard !isFolder(folder) else { continue }
      guard mkdir(hostPath(folder), 0o755) == 0 else { throw Failure.system("mkdir", folder) }
    }
  }

  private func write(_ bytes: [UInt8], to host: String, like model: String, mode: UInt32) throws {
    var status = stat()
    let known = stat(model, &status) == 0
    // Removed first: a link planted under this name would lead out of the guest.
    unlink(host)
    let descriptor = open(host, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw Failure.system("create", host) }
    defer { close(descriptor) }
    if known {
      // Not every filesystem keeps owners and modes (vfat): then there is nothing to keep.
      _ = fchown(descriptor, status.st_uid, status.st_gid)
      _ = fchmod(descriptor, status.st_mode & 0o7777)
      Self.copyAttributes(from: model, to: descriptor)
    }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure.system("write", host) }
      done += count
    }
    guard fsync(descriptor) == 0 else { throw Failure.system("fsync", host) }
  }

  /// Extended attributes hold, among others, the label without which SELinux refuses the file.
  private static func copyAttributes(from model: String, to descriptor: Int32) {
    var names = [CChar](repeating: 0, count: 4096)
    let length = listxattr(model, &names, names.count)
    guard length > 0 else { return }
    for name in names[..<length].split(separator: 0) {
      let name = Array(name) + [0]
      var value = [UInt8](repeating: 0, count: 65536)
      let count = getxattr(model, name, &value, value.count)
      if count >= 0 { fsetxattr(descriptor, name, value, count, 0) }
    }
  }
}
