extension RepairPlanner {
  /// Device names of disks become UUIDs in /etc/fstab and /etc/crypttab.
  func planDevices(_ draft: inout RepairDraft) {
    guard let text = files.text("/etc/fstab") else {
      draft.doubt(
        "no_fstab", "The machine has no /etc/fstab: only its root filesystem will be mounted.",
        remedy: "Check how it mounts the others.")
      return
    }
    var fstab = Fstab(text)
    var unknown: [Fstab.Entry] = []
    fstab.replaceDevices { entry in
      guard DeviceNames.isUnstable(entry.device) else { return nil }
      if entry.mountPoint == "/", let root { return "UUID=\(root.uuid)" }
      guard let content = names.content(of: entry.device), !content.uuid.isEmpty else {
        unknown.append(entry)
        return nil
      }
      return "UUID=\(content.uuid)"
    }
    draft.write("/etc/fstab", fstab.text, reason: "Disks have other device names on the target.")
    for entry in unknown where !entry.options.contains("noauto") && !entry.options.contains("nofail") {
      draft.doubt(
        "unknown_device",
        "/etc/fstab mounts \(entry.device) at \(entry.mountPoint), but no disk of the migration answers to that name.",
        remedy: "Include that disk in the migration, or mark the entry nofail on the source.")
    }
    planStackedRoot(&draft, fstab)
    planCrypttab(&draft)
  }

  private func planStackedRoot(_ draft: inout RepairDraft, _ fstab: Fstab) {
    guard let entry = fstab.entries.first(where: { $0.mountPoint == "/" }) else { return }
    guard
      entry.device.hasPrefix("/dev/mapper/") || entry.device.hasPrefix("/dev/md") || entry.device.hasPrefix("/dev/dm-")
    else { return }
    draft.refuse(
      "unsupported_layout",
      "The root filesystem lies on \(entry.device); LVM, RAID and encrypted roots are not repaired yet.",
      remedy: "Add virtio_pci and virtio_blk to the machine's initramfs before migrating, then launch without repair.")
  }

  private func planCrypttab(_ draft: inout RepairDraft) {
    guard let text = files.text("/etc/crypttab") else { return }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      let fields = line.split { $0 == " " || $0 == "\t" }
      guard fields.count >= 2, !fields[0].hasPrefix("#"), DeviceNames.isUnstable(String(fields[1])),
        let content = names.content(of: String(fields[1])), !content.uuid.isEmpty
      else { return String(line) }
      return ([fields[0], "UUID=\(content.uuid)"] + fields.dropFirst(2)).joined(separator: "\t")
    }
    draft.write("/etc/crypttab", lines.joined(separator: "\n"), reason: "Disks have other device names on the target.")
  }
}
