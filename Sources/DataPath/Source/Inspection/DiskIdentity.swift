internal import Blocks
internal import DiskFormats

/// What tells a disk from every other one of its machine, wherever the kernel's name for it goes at the next start.
///
/// The best mark there is: what the hardware says of itself, else what its partition table or filesystem was given when
/// it was made, with the size. A disk without any (nothing on it yet) has none.
enum DiskIdentity {
  /// - Parameters:
  ///   - folder: the disk's in /sys/block.
  ///   - table: read from `disk`.
  static func of(_ disk: any BlockReader, folder: String, table: PartitionTable) -> String? {
    for (kind, file) in [("wwid", "wwid"), ("wwid", "device/wwid"), ("serial", "serial"), ("serial", "device/serial")] {
      let text =
        SystemFile.text("\(folder)/\(file)")?.filter { $0.isLetter || $0.isNumber || ".-_:".contains($0) } ?? ""
      if text.contains(where: { $0 != "0" }) { return "\(kind):\(text)" }
    }
    if !table.identifier.isEmpty { return "\(table.kind.rawValue):\(table.identifier):\(disk.size)" }
    guard table.kind == .none, let content = Superblock.read(length: disk.size, reading(disk)), !content.uuid.isEmpty
    else { return nil }
    return "\(content.type):\(content.uuid):\(disk.size)"
  }

  /// The names that disks bear now.
  /// - Parameters:
  ///   - wanted: as they were when the migration began: names, and identities where they are known.
  ///   - present: the identities of this machine's disks by their names now.
  /// - Throws: `SyncFailure` where a disk is not there, or cannot be told from another.
  static func resolve(
    _ wanted: [(name: String, identity: String?)], among present: [String: String?]
  ) throws(SyncFailure) -> [String] {
    var names: [String] = []
    for (name, identity) in wanted {
      guard let identity else {
        names.append(name)
        continue
      }
      let found = present.filter { $0.value == identity }.keys.sorted()
      // Two of one identity are told apart by their names only: those must not have moved.
      guard let now = found.count == 1 ? found.first : found.first(where: { $0 == name }) else {
        let there = present[name].flatMap { $0 } ?? (present[name] == nil ? "no disk" : "a disk without identity")
        throw changed(
          found.isEmpty
            ? "the disk \(name) was \(identity) when its migration began; \(name) is \(there) now, and no other disk is it"
            : "the disk \(name) (\(identity)) cannot be told from \(found.joined(separator: ", "))")
      }
      names.append(now)
    }
    guard Set(names).count == names.count else { throw changed("two disks of the migration are one: \(names)") }
    return names
  }

  private static func changed(_ what: String) -> SyncFailure {
    SyncFailure(
      code: "disk_changed", message: what + "; attach that disk again, or start a new migration of this machine")
  }
}
