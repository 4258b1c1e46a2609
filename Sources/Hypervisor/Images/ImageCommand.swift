/// Command lines of qemu-img.
enum ImageCommand {
  /// Makes an empty layer of `size` bytes over `parent`. `-u`: the parent is not opened, so it may be in use.
  static func create(_ path: String, parent: String?, size: UInt64) -> [String] {
    let backing = parent.map { ["-u", "-b", $0, "-F", "qcow2"] } ?? []
    return ["create", "-q", "-f", "qcow2"] + backing + [path, String(size)]
  }
}
