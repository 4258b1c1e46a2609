import Foundation
import Machines
import Testing
import Volumes

@testable import Source

@Suite("Describing a machine", .timeLimit(.minutes(1)))
struct MachineInspectorTests {
  /// A root with parts of /sys, /proc, /etc and one disk in /dev, for the length of a closure.
  private func withMachine(table: String, _ body: (String) throws -> Void) throws {
    let root = "/var/tmp/godwit-test-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: root) }
    func write(_ path: String, _ text: String) throws {
      let url = URL(filePath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    func link(_ path: String, to target: String) throws {
      let url = URL(filePath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
    }
    try write("/proc/sys/kernel/hostname", "shop\n")
    try write("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n")
    try write("/proc/sys/kernel/arch", "x86_64\n")
    try write("/proc/cpuinfo", "processor\t: 0\nflags\t: a b\n\nprocessor\t: 1\n")
    try write("/proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n")
    try write("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n")
    try write("/sys/firmware/efi/fw_platform_size", "64\n")
    try write("/proc/self/mountinfo", "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n")
    for (name, place) in [("sda", "sda"), ("sda1", "sda/sda1"), ("sda2", "sda/sda2"), ("sda3", "sda/sda3")] {
      try write("/sys/devices/block/\(place)/dev", name == "sda" ? "8:0\n" : "8:\(name.last!)\n")
      if name != "sda" { try write("/sys/devices/block/\(place)/partition", "\(name.last!)\n") }
      try link("/sys/class/block/\(name)", to: "../../devices/block/\(place)")
    }
    try link("/sys/dev/block/8:1", to: "../../devices/block/sda/sda1")
    try write("/sys/devices/block/sda/size", "131072\n")
    try write("/sys/devices/block/sda/queue/logical_block_size", "512\n")
    try write("/sys/devices/block/sda/serial", "S3RIAL\n")
    try link("/sys/block/sda", to: "../devices/block/sda")
    try write("/sys/block/loop0/size", "100\n")
    try write("/sys/block/sr0/size", "100\n")
    try write("/sys/block/dm-0/slaves/sda3/size", "1\n")
    try write("/sys/block/dm-0/dm/uuid", "LVM-abcdef\n")
    try link("/sys/class/block/dm-0", to: "../../block/dm-0")
    try write("/sys/devices/pci0/net/eth0/address", "52:54:00:12:34:56\n")
    try link("/sys/devices/pci0/net/eth0/device", to: "../..")
    try link("/sys/devices/pci0/driver", to: "../drivers/e1000")
    try write("/sys/class/net/lo/address", "00:00:00:00:00:00\n")
    try link("/sys/class/net/eth0", to: "../../devices/pci0/net/eth0")
    try write("/dev/sda", "")
    try run("truncate", "-s", "64M", root + "/dev/sda")
    try run("bash", "-c", "printf '%s\\n' \"$2\" | sfdisk -q \"$1\"", "table", root + "/dev/sda", table)
    try body(root)
  }

  /// Puts a filesystem made by a program of its own at an offset of the disk.
  private func put(_ command: [String], size: Int, root: String, at offset: UInt64) throws {
    let path = root + "/part.img"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try run("truncate", "-s", "\(size)", path)
    try run(command[0], Array(command.dropFirst()) + [path])
    try run("dd", "if=\(path)", "of=\(root)/dev/sda", "bs=512", "seek=\(offset / 512)", "conv=notrunc,sparse")
  }

  private static let uuid = "0f4ac6b8-4c70-4a4d-9a6a-2d8d1b1a0c11"

  @Test("A machine with GPT is described from its files")
  func gpt() throws {
    let table = """
      label: gpt
      size=16M, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
      size=8M, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
      type=E6D6D379-F507-44C2-A23C-238F2A3DF928
      """
    try withMachine(table: table) { root in
      let first: UInt64 = 1 << 20
      try put(["mkfs.ext4", "-q", "-U", Self.uuid], size: 16 << 20, root: root, at: first)
      try put(["mkswap", "-q", "-U", Self.uuid], size: 8 << 20, root: root, at: first + 16 << 20)
      let machine = try MachineInspector(root: root).describe()
      #expect(machine.hostname == "shop" && machine.kernel == "6.1.0-9-amd64" && machine.architecture == "x86_64")
      #expect(machine.firmware == .uefi && machine.cpus == 2 && machine.memory == 2 << 20)
      #expect(machine.distribution.id == "debian" && machine.distribution.version == "12")
      #expect(machine.disks.map(\.name) == ["sda"])
      let disk = try #require(machine.disks.first)
      #expect(
        disk.size == 64 << 20 && disk.sectorSize == 512 && disk.partitionTable == "gpt" && disk.serial == "S3RIAL")
      #expect(disk.identity == "serial:S3RIAL")
      #expect(disk.partitions.map(\.name) == ["sda1", "sda2", "sda3"])
      #expect(disk.partitions.map { $0.start >> 20 } == [1, 17, 25])
      #expect(disk.partitions[0].size == 16 << 20)
      #expect(disk.partitions[0].type == "0fc63daf-8483-4772-8e79-3d69d8477de4")
      #expect(machine.filesystems.map(\.type) == ["ext4", "swap"])
      #expect(machine.filesystems.map(\.uuid) == [Self.uuid, Self.uuid])
      #expect(machine.filesystems.map(\.mountPoint) == ["/", nil])
      #expect(machine.stackedDevices == [.init(name: "dm-0", kind: "lvm", disks: ["sda"])])
      #expect(machine.networkInterfaces.map(\.name) == ["eth0"])
      #expect(machine.networkInterfaces.first?.mac == "52:54:00:12:34:56")
      #expect(machine.networkInterfaces.first?.driver == "e1000")
    }
  }

  @Test("Logical partitions are found along their chain")
  func logical() throws {
    let table = """
      label: dos
      start=2048, size=8M, type=83
      start=18432, type=5
      start=20480, size=16M, type=83
      start=55296, size=8M, type=82
      """
    try withMachine(table: table) { root in
      try put(["mkfs.xfs", "-q", "-m", "uuid=\(Self.uuid)"], size: 300 << 20, root: root, at: 20480 * 512)
      let machine = try MachineInspector(root: root).describe()
      let disk = try #require(machine.disks.first)
      #expect(disk.partitionTable == "dos")
      #expect(disk.partitions.map(\.number) == [1, 2, 5, 6])
      #expect(disk.partitions.map(\.type) == ["83", "05", "83", "82"])
      #expect(disk.partitions.map { $0.start / 512 } == [2048, 18432, 20480, 55296])
      #expect(machine.filesystems.map(\.type) == ["xfs"])
      #expect(machine.filesystems.first?.device == "sda5")
      #expect(machine.filesystems.first?.uuid == Self.uuid)
    }
  }

  @Test("A filesystem on the whole disk is no partition table")
  func wholeDisk() throws {
    try LoopDisk.with(size: 320 << 20) { disk in
      try disk.mount("ext4")
      let machine = try MachineInspector(disks: [disk.name]).describe()
      #expect(machine.disks.first?.partitionTable == "none")
      let filesystem = try #require(machine.filesystems.first)
      #expect(filesystem.device == disk.name && filesystem.type == "ext4" && filesystem.mountPoint == disk.mountPoint)
      #expect((filesystem.used ?? 0) > 0)
      #expect(try run("blkid", "-o", "value", "-s", "UUID", disk.path) == filesystem.uuid)
      #expect(machine.cpus > 0 && machine.memory > 0 && !machine.kernel.isEmpty && !machine.architecture.isEmpty)
    }
  }

  @Test("Disks are told apart by what is on them, wherever their names go")
  func identities() throws {
    try LoopDisk.with(size: 320 << 20) { first in
      try LoopDisk.with(size: 320 << 20) { second in
        try run("mkfs.ext4", "-qF", first.path)
        try run("bash", "-c", "echo label: gpt | sfdisk -q \"$1\"", "table", second.path)
        let names = [first.name, second.name]
        let identities = try MachineInspector(disks: names).describe().disks.map { $0.identity ?? "" }
        let uuid = try run("blkid", "-p", "-o", "value", "-s", "UUID", first.path)
        let table = try run("sfdisk", "--disk-id", second.path).lowercased()
        #expect(identities == ["ext4:\(uuid):\(320 << 20)", "gpt:\(table):\(320 << 20)"])
        #expect(try LinuxMachine.names(of: names, identities: identities) == names)
        // As if the names had changed places since the migration began.
        #expect(try LinuxMachine.names(of: names, identities: identities.reversed()) == names.reversed())
        try run("mkfs.ext4", "-qF", first.path)
        let failure = #expect(throws: SyncFailure.self) { try LinuxMachine.names(of: names, identities: identities) }
        #expect(failure?.code == "disk_changed")
        #expect(try LinuxMachine.names(of: names, identities: nil) == names)
      }
    }
  }
}
