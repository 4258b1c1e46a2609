import DiskFormats
import Foundation
import Testing

@testable import Repair

@Suite struct GuestFormatsTests {
  @Test func `fstab keeps comments and spacing, and decodes spaces in mount points`() {
    let text = "# a comment\n\n  /dev/sda1\t/my\\040data  ext4  rw,nofail\t0 2\nproc /proc proc defaults\n"
    var fstab = Fstab(text)
    #expect(fstab.entries.map(\.mountPoint) == ["/my data", "/proc"])
    #expect(fstab.entries[0].options == ["rw", "nofail"])
    fstab.replaceDevices { $0.device == "/dev/sda1" ? "UUID=x" : nil }
    #expect(fstab.text == text.replacing("/dev/sda1", with: "UUID=x"))
  }

  @Test(
    arguments: [
      ("/dev/sda", "sda", 0, nil), ("/dev/sdb12", "sdb", 1, 12), ("/dev/hdc1", "hdc", 2, 1),
      ("/dev/xvda1", "xvda", 0, 1),
      ("/dev/sdaa3", "sdaa", 26, 3), ("/dev/nvme0n1", "nvme0n1", 0, nil), ("/dev/nvme1n1p2", "nvme1n1", 1, 2),
      ("/dev/mmcblk0p1", "mmcblk0", 0, 1)
    ] as [(String, String, Int, Int?)]) func `Kernel names are taken apart`(
      name: String, disk: String, index: Int, partition: Int?
    )
  {
    #expect(DeviceNames.parse(name) == .init(disk: disk, index: index, partition: partition))
  }

  @Test(arguments: [
    "/dev/mapper/vg-root", "/dev/sr0", "UUID=1", "/dev/sda1x", "/dev/disk/by-uuid/1", "tmpfs", "/dev/sd"
  ])
  func `Other names are left alone`(name: String) { #expect(!DeviceNames.isUnstable(name)) }

  @Test func `Names follow the order of the source's disks where it is known`() {
    let disks = ["a", "b"].map { uuid in
      BlockInventory.Disk(
        name: "vd" + uuid, table: "none", partitions: [], content: .init(type: "ext4", uuid: uuid, label: "L" + uuid),
        hasBootCode: nil)
    }
    let inventory = BlockInventory(disks: disks)
    let known = DeviceNames(inventory: inventory, sourceDisks: ["nvme0n1", "sda"])
    #expect(known.content(of: "/dev/sda")?.uuid == "b")
    #expect(known.content(of: "/dev/nvme0n1")?.uuid == "a")
    #expect(known.content(of: "/dev/sdb") == nil)
    #expect(known.content(of: "LABEL=Lb")?.uuid == "b")
    #expect(DeviceNames(inventory: inventory, sourceDisks: []).content(of: "/dev/sdb")?.uuid == "b")
  }

  @Test func `Modules come with what they need, under either dash, packed or not`() {
    let modules = ModuleDependencies(
      dependencies: "kernel/a-b.ko.xz: kernel/c.ko.zst\nkernel/c.ko.zst:\n/lib/modules/2.6/kernel/d.ko: \n",
      builtin: "kernel/e-f.ko\n")
    #expect(modules.closure(of: ["a_b", "e_f", "missing"]) == ["kernel/a-b.ko.xz", "kernel/c.ko.zst"])
    #expect(modules.closure(of: ["d"]) == ["kernel/d.ko"])
    #expect(modules.has("e_f") && modules.isBuiltin("e_f") && !modules.has("missing"))
  }

  /// The tools that make partition tables and filesystems are the judges.
  @Test(arguments: ["dos", "gpt"]) func `Partition tables and superblocks are read as the tools wrote them`(
    label: String
  ) throws {
    let disk = FileManager.default.temporaryDirectory.appendingPathComponent("godwit-disk-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: disk) }
    let uuid = "0b5b4d6e-0000-4000-8000-00000000abcd"
    let extra = label == "dos" ? "type=5\nstart=69632,size=2048,type=83\n" : "type=linux\n"
    let types = label == "dos" ? ("83", "82", "ef") : ("linux", "swap", "uefi")
    try shell(
      """
      truncate -s 40M \(disk)
      printf 'label: \(label)\\nstart=2048,size=32768,type=\(types.0)\\nsize=4096,type=\(types.1)\\nsize=20480,type=\(types.2)\\n\(extra)' | sfdisk -q \(disk)
      mke2fs -q -t ext4 -U \(uuid) -L mine -E offset=1048576 \(disk) 16M
      truncate -s 2M \(disk).swap; mkswap -q -U \(uuid) \(disk).swap
      truncate -s 10M \(disk).fat; mkfs.vfat -i 1234ABCD -n ESP \(disk).fat
      dd if=\(disk).swap of=\(disk) bs=512 seek=34816 conv=notrunc status=none
      dd if=\(disk).fat of=\(disk) bs=512 seek=38912 conv=notrunc status=none
      rm \(disk).swap \(disk).fat
      """)
    let found = try DiskProbe(disk).disk(named: "vda")
    #expect(found.table == label)
    #expect(found.partitions.map(\.number) == (label == "dos" ? [1, 2, 3, 5] : [1, 2, 3, 4]))
    #expect(found.partitions.prefix(3).map(\.start) == [1 << 20, 34816 * 512, 38912 * 512])
    #expect(found.partitions[0].size == 16 << 20)
    #expect(
      found.partitions.prefix(3).map(\.content) == [
        .init(type: "ext4", uuid: uuid, label: "mine"), .init(type: "swap", uuid: uuid),
        .init(type: "vfat", uuid: "1234-ABCD", label: "ESP")
      ])
    #expect(BlockInventory.systemPartitionTypes.contains(found.partitions[2].type))
    #expect(found.hasBootCode == false)
    #expect(BlockInventory(disks: [found]).systemPartitions == [.init(disk: 0, partition: 3)])
  }

  @Test func `Hostile partition tables end the reading`() {
    // A chain of extended partitions that comes back to itself.
    var sector = [UInt8](repeating: 0, count: 512)
    (sector[510], sector[511]) = (0x55, 0xaa)
    sector[446 + 4] = 0x05
    (sector[446 + 8], sector[446 + 12]) = (1, 1)
    sector[462 + 4] = 0x05
    (sector[462 + 8], sector[462 + 12]) = (1, 1)
    #expect(PartitionTable.read(size: 1 << 20, sectorSize: 512) { _, _ in sector }.kind == .dos)
    // A GPT whose table lies beyond every address.
    sector[446 + 4] = 0xee
    var header = Array("EFI PART".utf8) + [UInt8](repeating: 0xff, count: 504)
    header.replaceSubrange(80..<88, with: [0x80, 0, 0, 0, 0x80, 0, 0, 0])
    let table = PartitionTable.read(size: 1 << 20, sectorSize: 512) { offset, count in
      Array((offset == 0 ? sector : header).prefix(count))
    }
    #expect(table.entries.isEmpty)
  }

  private func shell(_ script: String) throws {
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-e", "-c", "PATH=$PATH:/sbin:/usr/sbin\nexec >/dev/null\n" + script]
    try shell.run()
    shell.waitUntilExit()
    #expect(shell.terminationStatus == 0)
  }
}
