import Glibc
import SystemPackage

/// Small files that are written whole, readable for root only.
public enum PrivateFile {
  /// Replaces the file at `path` at once and durably; its folder is made with mode 0700 where it is missing.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure("mkdir", folder) }
    let temporary = path + ".new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw failure("open", temporary) }
    defer { close(file) }
    var done = 0
    while done < bytes.count {
      let put = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      guard put > 0 else { throw failure("write", temporary) }
      done += put
    }
    guard fchmod(file, 0o600) == 0, fsync(file) == 0 else { throw failure("fsync", temporary) }
    guard rename(temporary, path) == 0 else { throw failure("rename", path) }
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open", folder) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw failure("fsync", folder) }
  }

  /// The file's bytes, nil where there is no such file.
  public static func read(_ path: String) throws -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0, errno == ENOENT { return nil }
    guard file >= 0 else { throw failure("open", path) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let got = Glibc.read(file, &chunk, chunk.count)
      if got == 0 { return bytes }
      guard got > 0 else { throw failure("read", path) }
      bytes += chunk[..<got]
    }
  }

  /// Removes a file or an empty folder; one that is not there is fine.
  public static func remove(_ path: String) throws {
    guard Glibc.remove(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
  }

  static func failure(_ call: String, _ path: String) -> AgentError {
    AgentError("\(call) \(path): \(Errno(rawValue: errno))", remedy: "run as root, and check that the disk is writable")
  }
}
