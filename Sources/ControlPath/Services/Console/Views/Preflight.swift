import Machines
import Wire

/// What is looked at before the first byte, from what the platform knows of the machine and its target.
struct Preflight: Sendable {
  enum Level: String, Sendable, Comparable {
    case ok, warn, stop
    static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }
    private var rank: Int { self == .ok ? 0 : self == .warn ? 1 : 2 }
  }

  /// One line; its words are `preflight.KEY` and, above `ok`, `preflight.KEY_do`.
  struct Check: Sendable, Hashable {
    var level: Level
    var key: String
    var values: [String: String] = [:]
  }

  let checks: [Check]

  /// Whether nothing says that it must not be started.
  var mayStart: Bool { !checks.contains { $0.level == .stop } }
  var worst: Level { checks.map(\.level).max() ?? .ok }

  /// Filesystems that can be frozen for the consistent instant.
  private static let freezable: Set<String> = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"]
  /// Of no matter for it.
  private static let ignored: Set<String> = ["swap", "vfat", "iso9660", "squashfs", "LVM2_member", "linux_raid_member"]

  /// - Parameters:
  ///   - targets: of the tenant.
  ///   - migrations: of the tenant.
  init(_ source: MigrationAPI.Source, targets: [CloudsAPI.Target], migrations: [MigrationAPI.Migration]) {
    let machine = source.machine
    var checks = [
      Check(level: source.online ? .ok : .stop, key: source.online ? "online" : "offline"),
      Self.architecture(machine), Self.disks(machine), Self.filesystems(machine), Self.encryption(machine),
      Check(level: .ok, key: "firmware_" + machine.firmware.rawValue),
      Check(level: targets.isEmpty ? .stop : .ok, key: targets.isEmpty ? "no_target" : "target")
    ]
    if source.problem != nil { checks.append(.init(level: .stop, key: "twice")) }
    if let other = migrations.first(where: { $0.source == source.id && $0.state != .done }) {
      checks.append(.init(level: .stop, key: "migrating", values: ["name": other.name]))
    }
    self.checks = checks.sorted { $0.level > $1.level }
  }

  private static func architecture(_ machine: MachineDescription) -> Check {
    machine.architecture == "x86_64"
      ? Check(level: .ok, key: "architecture")
      : Check(level: .stop, key: "architecture_other", values: ["architecture": machine.architecture])
  }

  private static func disks(_ machine: MachineDescription) -> Check {
    if machine.disks.isEmpty { return Check(level: .stop, key: "no_disks") }
    let nameless = machine.disks.filter { $0.identity == nil }.map(\.name)
    return nameless.isEmpty
      ? Check(level: .ok, key: "disks", values: ["count": String(machine.disks.count)])
      : Check(level: .warn, key: "disks_nameless", values: ["disks": nameless.joined(separator: ", ")])
  }

  private static func filesystems(_ machine: MachineDescription) -> Check {
    let hard = machine.filesystems.filter {
      $0.mountPoint != nil && !freezable.contains($0.type) && !ignored.contains($0.type)
    }
    return hard.isEmpty
      ? Check(level: .ok, key: "filesystems")
      : Check(
        level: .warn, key: "filesystems_crash",
        values: ["list": hard.map { $0.mountPoint ?? $0.device }.joined(separator: ", ")])
  }

  private static func encryption(_ machine: MachineDescription) -> Check {
    machine.stackedDevices.contains { $0.kind == "crypt" }
      ? Check(level: .warn, key: "encrypted") : Check(level: .ok, key: "not_encrypted")
  }
}

extension MachineDescription {
  /// Bytes that will be copied at first: what is in use, where that is known, else everything.
  var bytesInUse: UInt64 {
    let used = filesystems.compactMap(\.used).reduce(0, +)
    return used == 0 ? bytesOnDisks : min(used, bytesOnDisks)
  }
  var bytesOnDisks: UInt64 { disks.map(\.size).reduce(0, +) }
}
