public import Machines

/// The disks of a machine in the order it counts them, and what lies on each partition.
public struct BlockInventory: Hashable, Sendable {
  /// What the superblock at the start of a device says.
  public struct Content: Hashable, Sendable {
    /// As `blkid` names it: `ext4`, `xfs`, `btrfs`, `vfat`, `swap`, `LVM2_member`, `linux_raid_member`, `crypto_LUKS`.
    public var type: String
    /// As it stands after `UUID=`; empty where the format has none.
    public var uuid: String
    /// As it stands after `LABEL=`; empty where there is none or it was not read.
    public var label: String
    public init(type: String, uuid: String, label: String = "") {
      (self.type, self.uuid, self.label) = (type, uuid, label)
    }
  }

  public struct Partition: Hashable, Sendable {
    public var number: Int
    /// Bytes from the start of the disk.
    public var start: UInt64
    /// Bytes.
    public var size: UInt64
    /// MBR type byte as two hex digits, or GPT type GUID, in lower case.
    public var type: String
    /// GPT identifier as it stands after `PARTUUID=`; empty for MBR or where it was not read.
    public var uuid: String
    public var content: Content?
    public init(number: Int, start: UInt64, size: UInt64, type: String, uuid: String = "", content: Content?) {
      (self.number, self.start, self.size, self.type) = (number, start, size, type)
      (self.uuid, self.content) = (uuid, content)
    }
  }

  public struct Disk: Hashable, Sendable {
    /// Kernel name here: `vda`.
    public var name: String
    /// `gpt`, `dos` or `none`.
    public var table: String
    public var partitions: [Partition]
    /// What lies on the whole disk when it has no partition table.
    public var content: Content?
    /// Whether the first sector holds code a BIOS would run; nil where it was not read.
    public var hasBootCode: Bool?
    public init(name: String, table: String, partitions: [Partition], content: Content?, hasBootCode: Bool?) {
      (self.name, self.table, self.partitions) = (name, table, partitions)
      (self.content, self.hasBootCode) = (content, hasBootCode)
    }
  }

  public var disks: [Disk]

  public init(disks: [Disk]) { self.disks = disks }

  /// What a live machine says of itself; boot code is not known from it.
  public init(_ machine: MachineDescription) {
    var contents: [String: Content] = [:]
    for filesystem in machine.filesystems {
      contents[filesystem.device] = Content(type: filesystem.type, uuid: filesystem.uuid)
    }
    disks = machine.disks.map { disk in
      Disk(
        name: disk.name, table: disk.partitionTable,
        partitions: disk.partitions.map {
          Partition(number: $0.number, start: $0.start, size: $0.size, type: $0.type, content: contents[$0.name])
        },
        content: contents[disk.name], hasBootCode: nil)
    }
  }

  /// GPT type of the partition a BIOS loader keeps its core in.
  static let biosBootType = "21686148-6449-6e6f-744e-656564454649"
  /// GPT type and MBR type of the EFI system partition.
  static let systemPartitionTypes: Set<String> = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef"]

  /// A disk or partition by its place in the inventory.
  public struct Location: Hashable, Sendable {
    public var disk: Int
    /// Partition number; nil for the whole disk.
    public var partition: Int?
  }

  /// Every place that holds something known, in order.
  public var contents: [(location: Location, content: Content)] {
    disks.enumerated().flatMap { index, disk in
      let whole = disk.content.map { [(Location(disk: index, partition: nil), $0)] } ?? []
      return whole
        + disk.partitions.compactMap { partition in
          partition.content.map { (Location(disk: index, partition: partition.number), $0) }
        }
    }
  }

  /// Path of the device node here: `/dev/vda1`, `/dev/nvme0n1p1`.
  public func node(_ location: Location) -> String {
    let name = disks[location.disk].name
    guard let partition = location.partition else { return "/dev/" + name }
    return "/dev/" + name + (name.last?.isNumber == true ? "p" : "") + String(partition)
  }

  /// The EFI system partitions.
  public var systemPartitions: [Location] {
    disks.enumerated().flatMap { index, disk in
      disk.partitions.filter { Self.systemPartitionTypes.contains($0.type) }.map {
        Location(disk: index, partition: $0.number)
      }
    }
  }

  func content(at location: Location) -> Content? {
    guard disks.indices.contains(location.disk) else { return nil }
    let disk = disks[location.disk]
    guard let number = location.partition else { return disk.content }
    return disk.partitions.first { $0.number == number }?.content
  }

  var hasSystemPartition: Bool {
    disks.contains { $0.partitions.contains { Self.systemPartitionTypes.contains($0.type) } }
  }
}
