internal import Blocks
internal import DiskFormats
internal import Glibc
public import Machines
internal import Volumes

/// Describes a machine from the kernel's files and the first bytes of its disks. Reads only.
public struct MachineInspector {
  private let root: String
  private let wanted: [String]?
  private let devices: DeviceGraph

  /// - Parameter root: where the machine's files begin; empty for the machine this runs on. Under another root, /dev may
  ///   hold plain files with the disks' bytes, and what only a running kernel can tell is left out.
  /// - Parameter disks: kernel names of the disks to describe, also unusual ones such as loop devices; nil for all that
  ///   can hold a system.
  public init(root: String = "", disks: [String]? = nil) {
    self.root = root
    wanted = disks
    devices = DeviceGraph(root: root)
  }

  private var isLive: Bool { root.isEmpty }

  /// - Throws: `BlockError` where a disk cannot be opened.
  public func describe() throws -> MachineDescription {
    let names = diskNames
    let disks = try names.map(disk)
    let stacked = stackedDevices(on: Set(names))
    return MachineDescription(
      hostname: text("/proc/sys/kernel/hostname"), architecture: architecture,
      firmware: SystemFile.names(in: root + "/sys/firmware/efi").isEmpty ? .bios : .uefi,
      kernel: text("/proc/sys/kernel/osrelease"), distribution: distribution, cpus: cpus, memory: memory,
      disks: disks.map(\.description), filesystems: filesystems(disks, stacked),
      networkInterfaces: NetworkInventory(root: root).interfaces, stackedDevices: stacked)
  }

  /// What tells each of the machine's disks from the others, by name; disks that cannot be opened are left out.
  var identities: [String: String?] {
    Dictionary(
      diskNames.compactMap { name in (try? disk(name)).map { (name, $0.description.identity) } },
      uniquingKeysWith: { first, _ in first })
  }

  private func text(_ path: String) -> String { SystemFile.text(root + path) ?? "" }

  // MARK: - The machine

  private var architecture: String {
    if let known = SystemFile.text(root + "/proc/sys/kernel/arch") { return known }
    var name = utsname()
    guard isLive, uname(&name) == 0 else { return "" }
    return withUnsafeBytes(of: name.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private var distribution: MachineDescription.Distribution {
    var values: [Substring: String] = [:]
    let release = SystemFile.text(root + "/etc/os-release") ?? text("/usr/lib/os-release")
    for line in release.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { values[parts[0]] = parts[1].filter { $0 != "\"" && $0 != "'" } }
    }
    return MachineDescription.Distribution(
      id: values["ID"] ?? "", version: values["VERSION_ID"] ?? "", name: values["PRETTY_NAME"] ?? "")
  }

  private var cpus: Int { text("/proc/cpuinfo").split(separator: "\n").count { $0.hasPrefix("processor") } }

  private var memory: UInt64 {
    let line = text("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
    return (line?.split(separator: " ").compactMap { UInt64($0) }.first ?? 0) * 1024
  }

  // MARK: - Disks

  /// Kinds of block devices that hold no bytes of their own, or none that last.
  private static let passingKinds = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"]

  private var diskNames: [String] {
    if let wanted { return wanted }
    return SystemFile.names(in: root + "/sys/block").filter { name in
      !Self.passingKinds.contains { name.hasPrefix($0) } && (devices.size(name) ?? 0) > 0
        && text("/sys/block/\(name)/hidden") != "1"
    }
  }

  private struct InspectedDisk {
    var description: MachineDescription.Disk
    var reader: any BlockReader
  }

  private func open(_ device: String) throws -> any BlockReader {
    let path = "\(root)/dev/\(device)"
    if let file = try? RawFile(path: path, readOnly: true) { return file }
    return try BlockDevice(path: path, readOnly: true)
  }

  private func disk(_ name: String) throws -> InspectedDisk {
    let reader = try open(name)
    let sectorSize =
      SystemFile.numbers("\(root)/sys/block/\(name)/queue/logical_block_size")?.first.map(Int.init) ?? 512
    let table = PartitionTable.read(size: reader.size, sectorSize: sectorSize, reading(reader))
    let separator = name.last?.isNumber == true ? "p" : ""
    let partitions = table.entries.map { entry in
      MachineDescription.Partition(
        name: "\(name)\(separator)\(entry.number)", number: entry.number, start: entry.start, size: entry.size,
        type: entry.type)
    }
    let serial = ["serial", "device/serial", "device/wwid", "wwid"].lazy
      .map { text("/sys/block/\(name)/\($0)").filter { $0 != " " } }.first { !$0.isEmpty }
    let description = MachineDescription.Disk(
      name: name, size: reader.size, sectorSize: sectorSize, partitionTable: table.kind.rawValue,
      partitions: partitions,
      serial: serial ?? "",
      identity: DiskIdentity.of(reader, folder: "\(root)/sys/block/\(name)", table: table))
    return InspectedDisk(description: description, reader: reader)
  }

  // MARK: - Filesystems

  private func filesystems(
    _ disks: [InspectedDisk], _ stacked: [MachineDescription.StackedDevice]
  ) -> [MachineDescription.Filesystem] {
    let mounts = Dictionary(
      MountTable(root: root).filesystems.map { ($0.device, $0) }, uniquingKeysWith: { first, _ in first })
    var found: [MachineDescription.Filesystem] = []
    func look(_ device: String, _ reader: any BlockReader, _ start: UInt64, _ length: UInt64) {
      guard let signature = Superblock.read(start: start, length: length, reading(reader)) else { return }
      let mountPoint = mounts[device]?.mountPoint
      found.append(
        MachineDescription.Filesystem(
          device: device, type: signature.type, uuid: signature.uuid, mountPoint: mountPoint,
          used: mountPoint.flatMap(used)))
    }
    for disk in disks {
      // What is no partition table may be a filesystem on the whole disk.
      if disk.description.partitions.isEmpty { look(disk.description.name, disk.reader, 0, disk.reader.size) }
      for partition in disk.description.partitions {
        look(partition.name, disk.reader, partition.start, partition.size)
      }
    }
    for device in stacked {
      guard let reader = try? open(device.name) else { continue }
      look(device.name, reader, 0, reader.size)
    }
    return found
  }

  /// Bytes in use on the filesystem mounted at `mountPoint`.
  private func used(_ mountPoint: String) -> UInt64? {
    var status = statvfs()
    guard isLive, statvfs(mountPoint, &status) == 0 else { return nil }
    return UInt64(status.f_blocks - status.f_bfree) * UInt64(status.f_frsize)
  }

  /// LVM, md and the like that lie on any of `disks`.
  private func stackedDevices(on disks: Set<String>) -> [MachineDescription.StackedDevice] {
    SystemFile.names(in: root + "/sys/block").compactMap { name in
      guard !devices.slaves(name).isEmpty else { return nil }
      let below = devices.disks(under: name)
      guard !below.isDisjoint(with: disks) else { return nil }
      return MachineDescription.StackedDevice(name: name, kind: kind(name), disks: below.sorted())
    }
  }

  private func kind(_ name: String) -> String {
    if name.hasPrefix("md") { return "raid" }
    let uuid = text("/sys/block/\(name)/dm/uuid")
    return uuid.hasPrefix("LVM-") ? "lvm" : uuid.hasPrefix("CRYPT-") ? "crypt" : "other"
  }
}
