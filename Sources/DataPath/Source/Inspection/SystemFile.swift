internal import Glibc
internal import SystemPackage
internal import Volumes

/// Small files of the kernel (/proc, /sys), read whole.
enum SystemFile {
  /// The bytes of `path`; nil where it cannot be read.
  static func bytes(_ path: String, in directory: Int32 = AT_FDCWD) -> [UInt8]? {
    let opened = openat(directory, path, O_RDONLY | O_CLOEXEC)
    if opened < 0 { return nil }
    let file = OwnedDescriptor(owning: opened)
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let got = Glibc.read(file.rawValue, &buffer, buffer.count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 { return nil }
      if got == 0 { return all }
      all.append(contentsOf: buffer[..<got])
    }
  }

  /// The text of `path`, without the newline at its end; nil where it cannot be read.
  static func text(_ path: String, in directory: Int32 = AT_FDCWD) -> String? {
    guard var bytes = bytes(path, in: directory) else { return nil }
    while bytes.last == 10 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The words of `path` that are numbers.
  static func numbers(_ path: String) -> [UInt64]? {
    text(path)?.split { $0 == " " || $0 == "\t" || $0 == "\n" }.compactMap { UInt64($0) }
  }

  /// The names in a directory, sorted; empty where it cannot be read.
  static func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Where the link `path` leads; nil where it is no link.
  static func linkTarget(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink(path, &buffer, buffer.count)
    if length <= 0 { return nil }
    return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The last part of where the link `path` leads; nil where it is no link.
  static func linkName(_ path: String) -> String? { linkTarget(path)?.split(separator: "/").last.map(String.init) }
}
