/// A cpio archive appended to a guest's initrd: the guest kernel's own virtio modules, and its module index, which then
/// finds them. The kernel unpacks archives one after the other, so the initrd need not be understood nor made anew.
struct InitramfsGraft: Hashable, Sendable {
  var kernel: String
  /// Paths below the kernel's module folder: modules and index files.
  var paths: [String]
  /// Further files of the initramfs.
  var texts: [String: String]

  /// Stands last in the archive, so that a graft is known by the end of an initrd.
  private static let marker = "etc/godwit-graft"

  /// The archive.
  ///
  /// `lib` itself is left out: in one initramfs it is a folder and in the next a link to `usr/lib`, which an entry would
  /// replace. It is there in each, since the initrd before has modules of its own.
  func archive(from files: GuestFiles) throws -> [UInt8] {
    var archive = CPIOArchive()
    let folder = "lib/modules/\(kernel)"
    var folders: Set<String> = ["lib"]
    for path in paths {
      let target = "\(folder)/\(path)"
      let parts = target.split(separator: "/").dropLast()
      for depth in 1...parts.count {
        let parent = parts.prefix(depth).joined(separator: "/")
        if folders.insert(parent).inserted { archive.addDirectory(parent) }
      }
      archive.addFile(target, try files.read("/" + target))
    }
    for (path, text) in texts.sorted(by: { $0.key < $1.key }) { archive.addFile(path, Array(text.utf8)) }
    archive.addFile(Self.marker, Array("\(kernel)\n".utf8))
    archive.finish()
    return archive.bytes
  }

  /// Bytes the archive will have; nil when a file is missing.
  func size(in files: GuestFiles) -> UInt64? {
    (try? archive(from: files)).map { UInt64($0.count) }
  }

  /// The initrd with the graft behind it.
  func grafted(onto initrd: [UInt8], from files: GuestFiles) throws -> [UInt8] {
    let padding = Int(Self.padded(UInt64(initrd.count))) - initrd.count
    return try initrd + [UInt8](repeating: 0, count: padding) + archive(from: files)
  }

  /// A size rounded up to whole sectors, where the archive begins.
  static func padded(_ size: UInt64) -> UInt64 { (size + 511) / 512 * 512 }

  /// Whether the last thing in an initrd is a graft.
  static func isGrafted(_ initrd: String, in files: GuestFiles) -> Bool {
    guard let end = try? files.read(initrd, last: 1024) else { return false }
    return String(decoding: end, as: UTF8.self).contains(marker + "\0")
  }
}
