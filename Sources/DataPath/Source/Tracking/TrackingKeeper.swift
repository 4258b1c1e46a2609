internal import CLinuxBlock
internal import FoundationEssentials
internal import Glibc
internal import SystemPackage

/// Where tracking is kept so that it outlives this process: pins in a BPF filesystem, and a note of what was pinned. Both
/// end with the machine: after a reboot nothing is found.
public struct TrackingKeeper: Sendable {
  /// Folder for pins, in a mounted BPF filesystem.
  let pins: String
  /// Where a BPF filesystem is mounted if there is none; removed with the pins.
  let ownMount: String
  /// The note.
  let note: String
  /// Whose pending marks these are; another owner's are worthless.
  let owner: String

  /// Where it stands what the marks mean, see `SyncMemories`: without that nothing is adopted. Nil: they mean something by
  /// themselves.
  let memory: String?

  public init(pins: String, ownMount: String, note: String, owner: String, memory: String? = nil) {
    (self.pins, self.ownMount, self.note, self.owner, self.memory) = (pins, ownMount, note, owner, memory)
  }

  /// The folder for pins in a filesystem that is there; nil where there is none.
  private func folder() -> String? {
    let parent = String(pins[..<(pins.lastIndex(of: "/") ?? pins.startIndex)])
    if lb_is_bpf_filesystem(parent) == 1 { return pins }
    return lb_is_bpf_filesystem(ownMount) == 1 ? ownMount + "/godwit" : nil
  }

  /// A new folder for the pins of one tracker; nil where there is no place for them.
  func begin() -> String? {
    if folder() == nil {
      mkdir(String(ownMount[..<(ownMount.lastIndex(of: "/") ?? ownMount.startIndex)]), 0o700)
      mkdir(ownMount, 0o700)
      _ = lb_mount_bpf(ownMount)
    }
    guard let folder = folder() else { return nil }
    mkdir(folder, 0o700)
    let new = "\(folder)/\(UUID())"
    return mkdir(new, 0o700) == 0 ? new : nil
  }

  /// Notes that everything named is pinned.
  func save(_ record: TrackingRecord) throws { try PrivateFile.write(Array(JSONEncoder().encode(record)), to: note) }

  /// What an earlier process of this boot left for these disks of this owner.
  func found(disks: [String]) throws(TrackingRefusal) -> TrackingRecord {
    guard let bytes = (try? PrivateFile.read(note)).flatMap({ $0 }) else {
      throw TrackingRefusal("no earlier tracking was noted")
    }
    guard let record = try? JSONDecoder().decode(TrackingRecord.self, from: Data(bytes)),
      record.format == TrackingRecord.format
    else { throw TrackingRefusal("the earlier tracking was another version's") }
    guard record.bootID == TrackingRecord.currentBoot else {
      throw TrackingRefusal("the machine was started anew since")
    }
    guard record.owner == owner, record.disks.map(\.name) == disks else {
      throw TrackingRefusal("the earlier tracking was another migration's, or of other disks")
    }
    if let memory, SyncMemories.read(memory)[owner] == nil {
      throw TrackingRefusal("nothing is remembered of the replica that the earlier tracking belongs to")
    }
    guard let folder = folder(), record.folder.hasPrefix(folder + "/") else {
      throw TrackingRefusal("the BPF filesystem is gone")
    }
    return record
  }

  /// Removes the note and all pins but those in `kept`, also those of others and of lives that were cut short.
  func clean(keeping kept: String? = nil) {
    if kept == nil { unlink(note) }
    guard let folder = folder() else { return }
    for name in SystemFile.names(in: folder) where "\(folder)/\(name)" != kept {
      for disk in SystemFile.names(in: "\(folder)/\(name)") {
        PinFolder(existing: "\(folder)/\(name)/\(disk)").remove()
      }
      rmdir("\(folder)/\(name)")
    }
    if kept == nil { rmdir(folder) }
  }

  /// Ends all tracking that is pinned, and removes every trace of it.
  public func removeAll() {
    clean()
    if lb_is_bpf_filesystem(ownMount) == 1 { _ = lb_unmount(ownMount) }
    rmdir(ownMount)
  }
}

/// What another process needs to go on with a tracker.
struct TrackingRecord: Codable {
  static let format = 1
  static var currentBoot: String { SystemFile.text("/proc/sys/kernel/random/boot_id") ?? "" }

  struct Disk: Codable {
    var name: String
    /// major << 20 | minor
    var device: UInt64
    /// Bytes.
    var size: UInt64
    /// Binary logarithm of the sectors in a block.
    var shift: UInt64
    var rung: TrackingRung
    var headStart: Int64
    var missedAtStart: UInt64
  }

  var format = Self.format
  var bootID = Self.currentBoot
  var owner: String
  /// Of the tracker.
  var identity: String
  /// Holds a folder of pins for each disk.
  var folder: String
  var disks: [Disk]
}
