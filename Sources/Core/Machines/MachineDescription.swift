/// What an agent finds on its machine, as reported to the platform and read by the repair planner.
public struct MachineDescription: Codable, Hashable, Sendable {
  public enum Firmware: String, Codable, Hashable, Sendable { case bios, uefi }

  public var hostname: String
  /// `x86_64`, as `uname -m` says.
  public var architecture: String
  public var firmware: Firmware
  /// Kernel release, as `uname -r` says.
  public var kernel: String
  /// `ID` and `VERSION_ID` of /etc/os-release, and its `PRETTY_NAME`; empty where the file is missing.
  public var distribution: Distribution
  public var cpus: Int
  /// Bytes.
  public var memory: UInt64
  public var disks: [Disk]
  public var filesystems: [Filesystem]
  public var networkInterfaces: [NetworkInterface]
  /// LVM and md as found: names and the leaf disks they lie on.
  public var stackedDevices: [StackedDevice]

  public struct Distribution: Codable, Hashable, Sendable {
    public var id: String
    public var version: String
    public var name: String
    public init(id: String, version: String, name: String) { (self.id, self.version, self.name) = (id, version, name) }
  }

  /// A whole disk that holds bytes of its own (not a partition, not a mapping).
  public struct Disk: Codable, Hashable, Sendable {
    /// Kernel name: `sda`, `nvme0n1`.
    public var name: String
    /// Bytes.
    public var size: UInt64
    /// Bytes per logical sector.
    public var sectorSize: Int
    /// `gpt`, `dos` or `none`.
    public var partitionTable: String
    public var partitions: [Partition]
    /// Serial number or WWN where the disk gives one, else empty.
    public var serial: String
    /// What tells the disk from every other one, wherever its name goes: `wwid:...`, `serial:...`, or the identifier of
    /// its partition table or filesystem with its size; nil where it has no mark (or the agent is an older one).
    public var identity: String?
    public init(
      name: String, size: UInt64, sectorSize: Int, partitionTable: String, partitions: [Partition], serial: String,
      identity: String? = nil
    ) {
      (self.name, self.size, self.sectorSize) = (name, size, sectorSize)
      (self.partitionTable, self.partitions, self.serial) = (partitionTable, partitions, serial)
      self.identity = identity
    }
  }

  public struct Partition: Codable, Hashable, Sendable {
    /// Kernel name: `sda1`.
    public var name: String
    public var number: Int
    /// Bytes from the start of the disk.
    public var start: UInt64
    /// Bytes.
    public var size: UInt64
    /// MBR type byte as two hex digits, or GPT type GUID in lower case.
    public var type: String
    public init(name: String, number: Int, start: UInt64, size: UInt64, type: String) {
      (self.name, self.number, self.start, self.size, self.type) = (name, number, start, size, type)
    }
  }

  public struct Filesystem: Codable, Hashable, Sendable {
    /// Kernel name of the device it lies on: `sda1`, `dm-0`.
    public var device: String
    /// `ext4`, `xfs`, `vfat`, `swap`, ...
    public var type: String
    public var uuid: String
    /// Where it is mounted; nil for swap and what is not mounted.
    public var mountPoint: String?
    /// Bytes in use, where it is mounted.
    public var used: UInt64?
    public init(device: String, type: String, uuid: String, mountPoint: String?, used: UInt64?) {
      (self.device, self.type, self.uuid, self.mountPoint, self.used) = (device, type, uuid, mountPoint, used)
    }
  }

  public struct NetworkInterface: Codable, Hashable, Sendable {
    public var name: String
    public var mac: String
    public var addresses: [String]
    /// Kernel driver: `e1000`, `virtio_net`.
    public var driver: String
    public init(name: String, mac: String, addresses: [String], driver: String) {
      (self.name, self.mac, self.addresses, self.driver) = (name, mac, addresses, driver)
    }
  }

  public struct StackedDevice: Codable, Hashable, Sendable {
    /// Kernel name: `dm-0`, `md127`.
    public var name: String
    /// `lvm`, `raid`, `crypt` or `other`.
    public var kind: String
    /// Kernel names of the whole disks it ends on.
    public var disks: [String]
    public init(name: String, kind: String, disks: [String]) {
      (self.name, self.kind, self.disks) = (name, kind, disks)
    }
  }

  public init(
    hostname: String, architecture: String, firmware: Firmware, kernel: String, distribution: Distribution, cpus: Int,
    memory: UInt64, disks: [Disk], filesystems: [Filesystem], networkInterfaces: [NetworkInterface],
    stackedDevices: [StackedDevice]
  ) {
    (self.hostname, self.architecture, self.firmware, self.kernel) = (hostname, architecture, firmware, kernel)
    (self.distribution, self.cpus, self.memory) = (distribution, cpus, memory)
    (self.disks, self.filesystems) = (disks, filesystems)
    (self.networkInterfaces, self.stackedDevices) = (networkInterfaces, stackedDevices)
  }
}
