import Foundation
import Machines
import Testing

@testable import Repair

@Suite struct RepairPlannerTests {
  private func content(of path: String, in plan: RepairPlan) -> String? {
    for change in plan.changes where change.path == path {
      if case .bytes(let bytes, _) = change.content { return String(decoding: bytes, as: UTF8.self) }
    }
    return nil
  }

  private func codes(_ plan: RepairPlan) -> [String] { plan.report.problems.map(\.code) }

  @Test func `A Debian of device names is ready with UUIDs, drivers and DHCP`() throws {
    let guest = try FixtureGuest.debian()
    let plan = guest.planner().plan()
    #expect(plan.report.verdict == .ready)
    #expect(plan.report.problems == [])
    let (root, swap) = (FixtureGuest.rootUUID, FixtureGuest.swapUUID)
    #expect(
      content(of: "/etc/fstab", in: plan)
        == "# disks\nUUID=\(root)\t/ ext4 errors=remount-ro 0 1\nUUID=\(swap) none swap sw 0 0\n")
    #expect(
      content(of: "/boot/grub/grub.cfg", in: plan)
        == "linux /boot/vmlinuz root=UUID=\(root) ro resume=UUID=\(swap)\n")
    #expect(content(of: "/etc/default/grub", in: plan) == "GRUB_TIMEOUT=1\n#GRUB_DISABLE_LINUX_UUID=true\n")
    #expect(content(of: "/etc/network/interfaces", in: plan)?.contains("iface eth0 inet dhcp") == true)
    #expect(content(of: "/etc/initramfs-tools/modules", in: plan)?.hasPrefix("ata_piix\nvirtio_pci\n") == true)
    let removed = plan.report.edits.filter { $0.action == .remove }.map(\.path)
    #expect(removed == ["/boot/grub/device.map", "/etc/udev/rules.d/70-persistent-net.rules"])
    #expect(plan.report.edits.allSatisfy { !$0.reason.isEmpty && !$0.undo.isEmpty })
    #expect(plan.report.findings["kernels"] == FixtureGuest.release)
  }

  @Test func `A rehearsal on the live machine plans the same edits as a repair of its clone`() throws {
    let guest = try FixtureGuest.debian()
    let disk = MachineDescription.Disk(
      name: "sda", size: 4 << 20, sectorSize: 512, partitionTable: "dos",
      partitions: (1...2).map {
        .init(name: "sda\($0)", number: $0, start: UInt64($0) << 20, size: 1 << 20, type: "83")
      },
      serial: "")
    let machine = MachineDescription(
      hostname: "old", architecture: "x86_64", firmware: .bios, kernel: FixtureGuest.release,
      distribution: .init(id: "debian", version: "12", name: "Debian"), cpus: 1, memory: 1 << 30, disks: [disk],
      filesystems: [
        .init(device: "sda1", type: "ext4", uuid: FixtureGuest.rootUUID, mountPoint: "/", used: 1),
        .init(device: "sda2", type: "swap", uuid: FixtureGuest.swapUUID, mountPoint: nil, used: nil)
      ], networkInterfaces: [], stackedDevices: [])
    let before = try guest.tree()
    let rehearsal = RepairPlanner(rehearsing: machine, files: guest.files).plan().report
    #expect(rehearsal == guest.planner().plan().report)
    #expect(try guest.tree() == before)
  }

  @Test func `Kernels without virtio drivers are refused with their names`() throws {
    let guest = try FixtureGuest.debian()
    try guest.addKernel(modules: "kernel/sound/soundcore.ko:\n")
    let plan = guest.planner().plan()
    #expect(plan.report.verdict == .refused)
    #expect(codes(plan) == ["no_virtio_modules"])
    #expect(plan.report.problems[0].message.contains(FixtureGuest.release))
    #expect(plan.report.edits.isEmpty && plan.changes.isEmpty)
  }

  @Test func `Drivers that are built in need no graft`() throws {
    let guest = try FixtureGuest.debian()
    let builtin = ["pci", "blk", "net", "scsi"].map { "kernel/drivers/virtio/virtio_\($0).ko\n" }.joined()
    try guest.addKernel(modules: "kernel/sound/soundcore.ko:\n", builtin: builtin)
    let plan = guest.planner().plan()
    #expect(plan.report.verdict == .ready)
    #expect(!plan.report.edits.contains { $0.action == .append })
  }

  @Test func `Of two kernels the one without drivers makes the machine doubtful`() throws {
    let guest = try FixtureGuest.debian()
    try guest.addKernel("3.2.0-1", initrd: "initrd.img-3.2.0-1", modules: "kernel/sound/soundcore.ko:\n")
    let plan = guest.planner().plan()
    #expect(plan.report.verdict == .doubtful)
    #expect(
      plan.report.edits.filter { $0.action == .append }.map(\.path) == ["/boot/initrd.img-\(FixtureGuest.release)"])
  }

  @Test func `dracut keeps the drivers by a file of its own`() throws {
    let guest = try FixtureGuest.debian()
    try guest.remove("/etc/initramfs-tools")
    try guest.write("/etc/dracut.conf", "")
    try guest.remove("/boot/initrd.img-\(FixtureGuest.release)")
    try guest.addKernel(initrd: "initramfs-\(FixtureGuest.release).img")
    let plan = guest.planner().plan()
    #expect(plan.report.verdict == .ready)
    #expect(content(of: "/etc/dracut.conf.d/godwit-virtio.conf", in: plan)?.contains(" virtio_blk ") == true)
    #expect(plan.report.edits.contains { $0.action == .append && $0.path.hasSuffix(".img") })
  }

  @Test(arguments: ["/dev/mapper/vg-root", "/dev/md0"]) func `A stacked root is refused`(device: String) throws {
    let guest = try FixtureGuest.debian()
    try guest.write("/etc/fstab", "\(device) / ext4 defaults 0 1\n")
    #expect(codes(guest.planner().plan()) == ["unsupported_layout"])
  }

  @Test func `A tree without initramfs tools is refused as unknown`() throws {
    let guest = try FixtureGuest.debian()
    try guest.remove("/etc/initramfs-tools")
    #expect(codes(guest.planner().plan()) == ["unknown_distribution"])
    #expect(codes(try FixtureGuest().planner().plan()) == ["no_root_filesystem"])
  }

  @Test func `A mount whose disk was left behind is doubtful, unless the machine boots without it`() throws {
    let guest = try FixtureGuest.debian()
    try guest.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n")
    #expect(codes(guest.planner().plan()) == ["unknown_device"])
    try guest.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 nofail 0 2\n")
    #expect(guest.planner().plan().report.verdict == .ready)
  }

  @Test func `The agent, its key and what starts it go`() throws {
    let guest = try FixtureGuest.debian()
    try guest.write("/usr/local/sbin/godwit-agent", "program")
    try guest.write("/var/lib/godwit-agent/key", "secret")
    try guest.write("/etc/systemd/system/godwit-agent.service", "[Service]")
    try guest.write("/etc/godwit-agent/hooks.d/pre", "#!/bin/sh")
    try guest.link(
      "/etc/systemd/system/multi-user.target.wants/godwit-agent.service", to: "/etc/systemd/system/godwit-agent.service"
    )
    _ = try RepairEditor(files: guest.files).apply(guest.planner().plan())
    #expect(try guest.tree().keys.filter { $0.contains("godwit-agent") } == [])
    #expect(try !guest.tree().values.contains(Data("secret".utf8).base64EncodedString()))
  }

  @Test func `systemd-networkd and netplan get DHCP by driver`() throws {
    let guest = try FixtureGuest.debian()
    try guest.remove("/etc/network")
    try guest.write("/etc/systemd/network/20-static.network", "[Match]\nName=ens2\n[Network]\nAddress=192.0.2.9/24\n")
    try guest.write("/etc/systemd/network/10-old.link", "[Match]\nMACAddress=52:54:00:00:00:01\n")
    try guest.write("/etc/netplan/01.yaml", "network:\n  bonds:\n    bond0: {}\n")
    let plan = guest.planner().plan()
    #expect(plan.report.findings["network"] == "netplan systemd-networkd")
    #expect(content(of: "/etc/systemd/network/00-godwit.network", in: plan)?.contains("DHCP=yes") == true)
    #expect(content(of: "/etc/netplan/90-godwit.yaml", in: plan)?.contains("dhcp4: true") == true)
    let removed = plan.report.edits.filter { $0.action == .remove }.map(\.path)
    #expect(removed.contains("/etc/systemd/network/10-old.link") && removed.contains("/etc/netplan/01.yaml"))
    #expect(codes(plan) == ["network_replaced"])
  }

  @Test func `Fixed addresses of NetworkManager are named, not touched`() throws {
    let guest = try FixtureGuest.debian()
    try guest.remove("/etc/network")
    try guest.write("/etc/NetworkManager/system-connections/a.nmconnection", "[ipv4]\nmethod=manual\n")
    let plan = guest.planner().plan()
    #expect(codes(plan) == ["network_not_repaired"])
    #expect(!plan.report.edits.contains { $0.path.contains("NetworkManager") })
  }

  @Test func `A UEFI loader comes to the removable path, with the grub that shim starts`() throws {
    let guest = try FixtureGuest.debian()
    try guest.write("/boot/efi/EFI/debian/shimx64.efi", "shim")
    try guest.write("/boot/efi/EFI/debian/grubx64.efi", "grub")
    _ = try RepairEditor(files: guest.files).apply(guest.planner(firmware: .uefi).plan())
    #expect(guest.text("/boot/efi/EFI/BOOT/BOOTX64.EFI") == "shim")
    #expect(guest.text("/boot/efi/EFI/BOOT/grubx64.efi") == "grub")
    #expect(guest.planner(firmware: .uefi).plan().report.edits.isEmpty)
  }

  @Test func `Firmware without its loader is refused or doubtful`() throws {
    let guest = try FixtureGuest.debian()
    #expect(codes(guest.planner(firmware: .uefi).plan()) == ["no_system_partition"])
    try guest.write("/boot/efi/EFI/vendor/tool.efi", "no loader")
    #expect(codes(guest.planner(firmware: .uefi).plan()) == ["no_loader"])
    #expect(codes(guest.planner(FixtureGuest.inventory(hasBootCode: false)).plan()) == ["no_boot_code"])
    #expect(codes(guest.planner(FixtureGuest.inventory(table: "gpt")).plan()) == ["no_bios_boot_partition"])
  }
}
