import Machines

extension RepairPlanner {
  private static let mountPoints = ["/boot/efi", "/efi", "/boot"]

  /// The folder of the EFI system partition in the guest's tree; nil when none is mounted there.
  func systemPartition() -> String? { Self.mountPoints.first { files.isFolder($0 + "/EFI") } }

  /// The firmware of the target finds the loader: it has no boot entries, and reads the first disk alone.
  func planFirmware(_ draft: inout RepairDraft, _ firmware: MachineDescription.Firmware) {
    switch firmware {
    case .uefi: planRemovablePath(&draft)
    case .bios: checkBootCode(&draft)
    }
  }

  private func planRemovablePath(_ draft: inout RepairDraft) {
    guard let partition = systemPartition() else {
      draft.refuse(
        "no_system_partition",
        "The machine is to start by UEFI, but no EFI system partition is mounted at /boot/efi or /efi.",
        remedy: "List the EFI system partition in /etc/fstab, and check that its disk is part of the migration.")
      return
    }
    let removable = partition + "/EFI/BOOT"
    let vendors = files.names(in: partition + "/EFI").filter { $0.uppercased() != "BOOT" }
    for vendor in vendors where vendor.lowercased() != "microsoft" {
      let folder = "\(partition)/EFI/\(vendor)"
      let loaders = ["shimx64.efi", "grubx64.efi", "systemd-bootx64.efi"]
      guard let loader = loaders.first(where: { files.isFile("\(folder)/\($0)") }) else { continue }
      draft.findings["uefi.loader"] = "\(folder)/\(loader)"
      guard !files.isFile(removable + "/BOOTX64.EFI") else { return }
      let reason = "The target's firmware has no boot entries: it starts EFI/BOOT/BOOTX64.EFI."
      draft.changes.append(
        RepairChange(path: removable + "/BOOTX64.EFI", content: .copy(of: "\(folder)/\(loader)"), reason: reason))
      // shim starts the grub beside itself.
      if loader == "shimx64.efi" {
        for companion in ["grubx64.efi", "mmx64.efi"] where files.isFile("\(folder)/\(companion)") {
          guard !files.isFile("\(removable)/\(companion)") else { continue }
          draft.changes.append(
            RepairChange(
              path: "\(removable)/\(companion)", content: .copy(of: "\(folder)/\(companion)"), reason: reason))
        }
      }
      return
    }
    guard !files.isFile(removable + "/BOOTX64.EFI") else { return }
    draft.refuse(
      "no_loader", "The EFI system partition holds no known loader (shim, grub, systemd-boot) in EFI/*.",
      remedy: "Install one on the source (grub-install --target=x86_64-efi) and sync again.")
  }

  private func checkBootCode(_ draft: inout RepairDraft) {
    guard let disk = inventory.disks.first else { return }
    if disk.hasBootCode == false {
      draft.refuse(
        "no_boot_code", "The machine is to start by BIOS, but the first disk holds no boot code.",
        remedy: "Start it by UEFI if it has an EFI system partition, or make the disk with the loader the first one.")
    } else if disk.table == "gpt", !disk.partitions.contains(where: { $0.type == BlockInventory.biosBootType }) {
      draft.doubt(
        "no_bios_boot_partition",
        "The machine is to start by BIOS from a GPT disk without a BIOS boot partition, where grub keeps its core.",
        remedy:
          "Start it by UEFI if it has an EFI system partition, or add a BIOS boot partition and install grub in it.")
    }
  }
}
