import Glibc

/// A folder whose files are replaced as wholes: after a crash each holds the old bytes or the new ones.
struct DurableFolder: Sendable {
  let path: String

  /// Creates the folder (mode 0700), durably, where it does not exist; its parent must.
  init(creating path: String) throws(StoreError) {
    self.path = path
    if mkdir(path, 0o700) == 0 {
      let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
      try Self.sync(parent.isEmpty ? "/" : parent)
    } else if errno != EEXIST {
      throw StoreError("mkdir", path)
    }
  }

  func folder(_ name: String) throws(StoreError) -> DurableFolder {
    try DurableFolder(creating: file(name))
  }

  func file(_ name: String) -> String { path + "/" + name }

  func exists(_ name: String) -> Bool { access(file(name), F_OK) == 0 }

  /// The whole file, nil where there is none.
  func read(_ name: String) throws(StoreError) -> [UInt8]? {
    guard exists(name) else { return nil }
    let opened = try DurableFile(file(name), flags: O_RDONLY)
    return try opened.read(0..<(try opened.length()))
  }

  /// Durably gives the file these bytes.
  func replace(_ name: String, with bytes: [UInt8]) throws(StoreError) {
    try replace(name) { target throws(StoreError) in try target.write(bytes.span.bytes, at: 0) }
  }

  /// Durably gives the file the bytes that `write` puts into an empty one.
  func replace(_ name: String, _ write: (borrowing DurableFile) throws(StoreError) -> Void) throws(StoreError) {
    let temporary = file(name + ".new")
    let target = try DurableFile(temporary, flags: O_RDWR | O_CREAT | O_TRUNC)
    try write(target)
    try target.sync()
    guard rename(temporary, file(name)) == 0 else { throw StoreError("rename", temporary) }
    try Self.sync(path)
  }

  /// Removes the file; no error where there is none.
  func remove(_ name: String) { unlink(file(name)) }

  /// Removes the file; it does not come back after a crash.
  func removeDurably(_ name: String) throws(StoreError) {
    remove(name)
    try Self.sync(path)
  }

  private static func sync(_ path: String) throws(StoreError) {
    let folder = try DurableFile(path, flags: O_RDONLY | O_DIRECTORY)
    try folder.sync()
  }
}
