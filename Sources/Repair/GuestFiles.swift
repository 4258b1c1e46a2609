import Glibc

/// Reads a guest's files below a folder of this machine. Symbolic links are followed inside that folder, as the guest
/// would see them: a hostile guest cannot point outside. Devices, sockets and pipes are never opened.
public struct GuestFiles: Sendable {
  /// What reading a guest's file can fail with.
  public struct Failure: Error, CustomStringConvertible {
    public var description: String
  }

  /// Folder here that is `/` of the guest, without a slash at its end: empty for the machine itself.
  let root: String

  public init(root: String) {
    var root = root
    while root.hasSuffix("/") { root.removeLast() }
    self.root = root
  }

  /// The path here of the guest's `path`.
  /// - Parameter followingLast: whether the last component is followed where it is a link.
  func hostPath(_ path: String, followingLast: Bool = true) -> String {
    var open = Array(path.split(separator: "/").map(String.init).reversed())
    var resolved: [String] = []
    var links = 0
    while let component = open.popLast() {
      if component == "." { continue }
      if component == ".." {
        _ = resolved.popLast()
        continue
      }
      let candidate = root + "/" + (resolved + [component]).joined(separator: "/")
      if followingLast || !open.isEmpty, links < 40, let target = Self.link(candidate) {
        links += 1
        if target.hasPrefix("/") { resolved = [] }
        open += target.split(separator: "/").map(String.init).reversed()
      } else {
        resolved.append(component)
      }
    }
    return root + "/" + resolved.joined(separator: "/")
  }

  func isFile(_ path: String) -> Bool { kind(path) == S_IFREG }
  func isFolder(_ path: String) -> Bool { kind(path) == S_IFDIR }

  /// Whether anything bears this name, a link that leads nowhere included.
  public func exists(_ path: String) -> Bool { kind(path, followingLast: false) != nil }

  /// Size in bytes; nil when it is not a file.
  func size(_ path: String) -> UInt64? { status(path).flatMap { $0.isFile ? $0.size : nil } }

  /// Names in a folder, sorted; empty when there is none.
  public func names(in folder: String) -> [String] {
    guard let stream = opendir(hostPath(folder)) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// A file's bytes, `last` of them from its end when given.
  /// - Throws: `Failure` when it is no regular file, cannot be read, or is larger than `limit` bytes.
  func read(_ path: String, last: Int? = nil, limit: Int = 512 << 20) throws -> [UInt8] {
    let host = hostPath(path)
    let descriptor = open(host, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.system("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(description: "\(path) is not a regular file")
    }
    let count = min(Int(status.st_size), last ?? Int.max)
    guard count <= limit else { throw Failure(description: "\(path) is larger than \(limit) bytes") }
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    let start = Int(status.st_size) - count
    while done < count {
      let read = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + done, count - done, start + done) }
      if read < 0, errno == EINTR { continue }
      guard read > 0 else { throw Failure.system("read", path) }
      done += read
    }
    return bytes
  }

  /// Lines of a small file, also of one in /proc, which says it has no bytes; empty when it cannot be read.
  public func lines(of path: String) -> [String] {
    guard let stream = fopen(hostPath(path), "re") else { return [] }
    defer { fclose(stream) }
    var lines: [String] = []
    var buffer = [CChar](repeating: 0, count: 8192)
    while fgets(&buffer, Int32(buffer.count), stream) != nil {
      let bytes = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
      lines.append(String(decoding: bytes, as: UTF8.self))
    }
    return lines
  }

  /// The folder here that is `path` of the guest.
  public func folder(_ path: String) -> String { hostPath(path) }

  /// A configuration file's text; nil when there is none or it cannot be read.
  func text(_ path: String) -> String? {
    (try? read(path, limit: 8 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Free bytes of the filesystem that `path` lies on, for root.
  func freeSpace(_ path: String) -> UInt64? {
    var status = statvfs()
    guard statvfs(hostPath(path), &status) == 0 else { return nil }
    return UInt64(status.f_bfree) * UInt64(status.f_frsize)
  }

  private func kind(_ path: String, followingLast: Bool = true) -> mode_t? {
    status(path, followingLast: followingLast)?.kind
  }

  private func status(
    _ path: String, followingLast: Bool = true
  ) -> (kind: mode_t, isFile: Bool, size: UInt64)? {
    var status = stat()
    guard lstat(hostPath(path, followingLast: followingLast), &status) == 0 else { return nil }
    let kind = status.st_mode & S_IFMT
    return (kind, kind == S_IFREG, UInt64(status.st_size))
  }

  private static func link(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}

extension GuestFiles.Failure {
  static func system(_ call: String, _ path: String) -> Self {
    Self(description: "\(call) \(path): \(String(cString: strerror(errno)))")
  }
}
