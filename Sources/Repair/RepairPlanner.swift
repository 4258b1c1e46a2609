public import Machines

/// Says what a guest needs to boot on virtio hardware, and whether that can be done. Reads only.
public struct RepairPlanner: Sendable {
  let files: GuestFiles
  let names: DeviceNames
  let root: BlockInventory.Content?
  let firmware: MachineDescription.Firmware?

  var inventory: BlockInventory { names.inventory }

  /// - Parameters:
  ///   - files: the guest's root with its boot filesystems mounted below it.
  ///   - inventory: the disks, in the order the source counted them.
  ///   - root: the filesystem that is mounted as the guest's `/`.
  ///   - firmware: what the target starts the machine with; nil to conclude it from the guest.
  ///   - sourceDisks: kernel names of the disks on the source, in the order of the inventory; empty when not known.
  public init(
    files: GuestFiles, inventory: BlockInventory, root: BlockInventory.Content?,
    firmware: MachineDescription.Firmware? = nil, sourceDisks: [String] = []
  ) {
    self.files = files
    self.root = root
    self.firmware = firmware
    names = DeviceNames(inventory: inventory, sourceDisks: sourceDisks)
  }

  /// Rehearses on the machine itself: what a repair of its clone would do.
  public init(rehearsing machine: MachineDescription, files: GuestFiles = GuestFiles(root: "/")) {
    let root = machine.filesystems.first { $0.mountPoint == "/" }
    self.init(
      files: files, inventory: BlockInventory(machine),
      root: root.map { BlockInventory.Content(type: $0.type, uuid: $0.uuid) }, firmware: machine.firmware,
      sourceDisks: machine.disks.map(\.name))
  }

  /// The plan. A refused one changes nothing. After it was applied, the next plan has no edits.
  public func plan() -> RepairPlan {
    var draft = RepairDraft(files: files)
    let firmware = self.firmware ?? concludedFirmware()
    if let distribution = recognise(&draft), planRoot(&draft) {
      planInitramfs(&draft, distribution)
      planDevices(&draft)
      planLoader(&draft)
      planFirmware(&draft, firmware)
      planNetwork(&draft)
      planAgentRemoval(&draft)
    }
    if draft.verdict == .refused { draft.changes = [] }
    let report = RepairReport(
      verdict: draft.verdict, firmware: firmware, findings: draft.findings,
      edits: draft.changes.map { $0.edit(in: files) }, problems: draft.problems, applied: false)
    return RepairPlan(report: report, changes: draft.changes)
  }

  private func recognise(_ draft: inout RepairDraft) -> Distribution? {
    guard files.isFile("/etc/fstab") || files.isFolder("/lib/modules") || files.isFile("/etc/os-release") else {
      draft.refuse(
        "no_root_filesystem",
        "This is not the root of a Linux machine: it has no /etc/fstab, /etc/os-release or /lib/modules.",
        remedy: "Check that all disks of the source are part of the migration, the one with its root above all.")
      return nil
    }
    let distribution = Distribution(files)
    draft.findings["distribution"] = distribution.title
    draft.findings["initramfs"] = distribution.initramfsTool?.rawValue ?? "unknown"
    guard distribution.initramfsTool != nil else {
      draft.refuse(
        "unknown_distribution",
        "\(distribution.title) is not known, and neither initramfs-tools nor dracut was found in it.",
        remedy: "Install the virtio drivers in the machine's initramfs and use UUIDs for its devices before migrating, "
          + "then launch without repair.")
      return nil
    }
    return distribution
  }

  private func planRoot(_ draft: inout RepairDraft) -> Bool {
    guard let root, !root.uuid.isEmpty else {
      draft.refuse(
        "no_root_filesystem", "The root filesystem has no UUID that its loader could find it by.",
        remedy: "Give it one (tune2fs -U random, xfs_admin -U generate) and sync again.")
      return false
    }
    draft.findings["root"] = "UUID=\(root.uuid) \(root.type)"
    return true
  }

  private func concludedFirmware() -> MachineDescription.Firmware {
    guard inventory.hasSystemPartition, systemPartition() != nil else { return .bios }
    let biosBoot = inventory.disks.contains { disk in
      disk.partitions.contains { $0.type == BlockInventory.biosBootType }
    }
    return biosBoot && !files.isFolder("/sys/firmware/efi") && grubTarget() != "efi" ? .bios : .uefi
  }

  /// What Debian's grub was installed for, by the modules beside its configuration.
  private func grubTarget() -> String? {
    if files.isFolder("/boot/grub/x86_64-efi") { return "efi" }
    return files.isFolder("/boot/grub/i386-pc") ? "pc" : nil
  }
}
