import CoreFoundation
import Glibc

/// Files and folders that only their owner may read.
public enum PrivateFile {
  /// Makes a folder with mode 0700, and its parents as usual; an existing one must belong to us and is narrowed to 0700.
  public static func makeFolder(_ path: String) throws {
    let parent = path.split(separator: "/").dropLast().joined(separator: "/")
    if access(path, F_OK) != 0 {
      if !parent.isEmpty, access("/" + parent, F_OK) != 0 { try makeParents("/" + parent) }
      guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make the folder", path) }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { throw failure("use as a folder", path) }
    guard status.st_uid == geteuid() else {
      throw ConfigurationError("The folder \(path) belongs to another user.", remedy: "Choose a folder of your own.")
    }
    guard chmod(path, 0o700) == 0 else { throw failure("narrow the rights of", path) }
  }

  private static func makeParents(_ path: String) throws {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      guard mkdir(made, 0o755) == 0 || errno == EEXIST else { throw failure("make the folder", made) }
    }
  }

  /// Writes the whole file with mode 0600, durably and at once: readers see the old content or the new.
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600) throws {
    let temporary = "\(path).\(getpid()).new"
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw failure("write", temporary) }
    defer { close(file) }
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      guard count > 0 || errno == EINTR else { throw failure("write", temporary) }
      written += max(count, 0)
    }
    guard fsync(file) == 0, rename(temporary, path) == 0 else { throw failure("write", path) }
  }

  /// The whole file, or nil if there is none.
  /// It may be a link, as clusters mount keys.
  /// - Parameter secret: refuse a file that others may read, or that is another user's (root's may be).
  public static func read(_ path: String, secret: Bool = true) throws -> [UInt8]? {
    // Not to wait for a pipe that somebody has put there.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failure("read", path)
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure("read", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ConfigurationError("\(path) is no file.", remedy: "Give the path of a file.")
    }
    if secret, status.st_uid != geteuid(), status.st_uid != 0 {
      throw ConfigurationError(
        "\(path) belongs to another user.", remedy: "Run chown on it, and replace the secret in it.")
    }
    if secret, status.st_mode & 0o077 != 0 {
      throw ConfigurationError("Others may read \(path).", remedy: "Run chmod 600 on it, and replace the secret in it.")
    }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count == bytes.count else { throw failure("read", path) }
    return bytes
  }

  private static func failure(_ what: String, _ path: String) -> ConfigurationError {
    ConfigurationError("Cannot \(what) \(path): \(String(cString: strerror(errno))).", remedy: "Check its rights.")
  }
}
