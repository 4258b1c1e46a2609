/// A kernel that the guest could boot.
private struct InstalledKernel {
  var release: String
  var modules: ModuleDependencies
  var initrd: String?
}

extension RepairPlanner {
  /// Without the first two nothing boots on virtio.
  private static let requiredModules = ["virtio_pci", "virtio_blk"]
  private static let wantedModules = ["virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"]

  func planInitramfs(_ draft: inout RepairDraft, _ distribution: Distribution) {
    let kernels = installedKernels()
    draft.findings["kernels"] = kernels.map(\.release).joined(separator: " ")
    guard !kernels.isEmpty else {
      draft.refuse(
        "no_kernel", "No kernel was found in /boot with its modules in /lib/modules.",
        remedy: "Check that /boot is listed in /etc/fstab and lies on a disk of the migration.")
      return
    }
    let usable = kernels.filter { kernel in Self.requiredModules.allSatisfy(kernel.modules.has) }
    guard !usable.isEmpty else {
      let releases = kernels.map(\.release).joined(separator: ", ")
      draft.refuse(
        "no_virtio_modules", "No installed kernel has the virtio_pci and virtio_blk drivers: \(releases).",
        remedy: "Install the distribution's standard kernel package on the source and sync again.")
      return
    }
    for kernel in kernels where !usable.contains(where: { $0.release == kernel.release }) {
      draft.doubt(
        "no_virtio_modules", "Kernel \(kernel.release) has no virtio drivers and will not boot on the target.",
        remedy: "Make another kernel the default, or remove this one.")
    }
    planResume(&draft)
    planGrafts(&draft, usable)
    planLastingDrivers(&draft, distribution)
  }

  private func installedKernels() -> [InstalledKernel] {
    files.names(in: "/lib/modules").compactMap { release in
      let folder = "/lib/modules/\(release)"
      guard let dependencies = files.text("\(folder)/modules.dep") else { return nil }
      let images = ["/boot/vmlinuz-\(release)", "/boot/vmlinux-\(release)", "/boot/kernel-\(release)"]
      guard (images + ["\(folder)/vmlinuz"]).contains(where: files.isFile) else { return nil }
      let initrds = ["initrd.img-\(release)", "initramfs-\(release).img", "initrd-\(release)"].map { "/boot/" + $0 }
      let modules = ModuleDependencies(
        dependencies: dependencies, builtin: files.text("\(folder)/modules.builtin") ?? "")
      return InstalledKernel(release: release, modules: modules, initrd: initrds.first(where: files.isFile))
    }
  }

  private func planGrafts(_ draft: inout RepairDraft, _ kernels: [InstalledKernel]) {
    if !kernels.contains(where: { $0.modules.has("virtio_net") }) {
      draft.doubt(
        "no_virtio_modules", "No installed kernel has the virtio_net driver: the machine will boot without network.",
        remedy: "Install the distribution's standard kernel package on the source and sync again.")
    }
    var bootable = false
    var needed: UInt64 = 0
    for kernel in kernels {
      let modules = kernel.modules.closure(of: Self.wantedModules)
      guard let initrd = kernel.initrd else {
        if modules.isEmpty { bootable = true }
        continue
      }
      bootable = true
      guard !modules.isEmpty, !InitramfsGraft.isGrafted(initrd, in: files) else { continue }
      let graft = graft(kernel, draft)
      draft.changes.append(
        RepairChange(
          path: initrd, content: .grafted(graft),
          reason: "The initramfs of kernel \(kernel.release) gets the kernel's own virtio drivers."))
      needed += (files.size(initrd) ?? 0) + (graft.size(in: files) ?? 0) + 1 << 20
    }
    if !bootable {
      draft.refuse(
        "unsupported_layout", "No installed kernel has its initramfs in /boot under a known name.",
        remedy: "Make one (update-initramfs -c -k all, dracut --regenerate-all) on the source and sync again.")
    }
    if let free = files.freeSpace("/boot"), free < needed {
      draft.refuse(
        "boot_full", "/boot has \(free >> 20) MiB free; the repair needs \(needed >> 20) MiB.",
        remedy: "Remove kernels that are not used on the source and sync again.")
    }
  }

  private func graft(_ kernel: InstalledKernel, _ draft: RepairDraft) -> InitramfsGraft {
    // The index comes with the modules and replaces the initrd's own. Where the initrd holds modules unpacked that the
    // guest holds packed, the old ones are no longer found: so those that mount the root come along.
    let modules = kernel.modules.closure(
      of: Self.wantedModules + [root?.type ?? "ext4", "crc32c_generic", "crc32c_intel", "libcrc32c"])
    let indexes = files.names(in: "/lib/modules/\(kernel.release)").filter { name in
      name.hasPrefix("modules.") && files.isFile("/lib/modules/\(kernel.release)/\(name)")
    }
    var texts: [String: String] = [:]
    if draft.changes.contains(where: { $0.path == Self.resumePath }), let resume = draft.text(Self.resumePath) {
      texts["conf/conf.d/zzz-godwit-resume"] = resume
    }
    return InitramfsGraft(kernel: kernel.release, paths: modules + indexes, texts: texts)
  }

  private static let resumePath = "/etc/initramfs-tools/conf.d/resume"

  /// initramfs-tools waits half a minute for a resume device that does not exist.
  private func planResume(_ draft: inout RepairDraft) {
    guard let text = files.text(Self.resumePath) else { return }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      guard line.hasPrefix("RESUME=/dev/"), DeviceNames.isUnstable(String(line.dropFirst(7))) else {
        return String(line)
      }
      let content = names.content(of: String(line.dropFirst(7)))
      return content.map { "RESUME=UUID=\($0.uuid)" } ?? "RESUME=none"
    }
    draft.write(
      Self.resumePath, lines.joined(separator: "\n"),
      reason: "The device to resume from has another name on the target.")
  }

  private func planLastingDrivers(_ draft: inout RepairDraft, _ distribution: Distribution) {
    let reason = "The initramfs that the machine makes at its next update keeps the virtio drivers."
    switch distribution.initramfsTool {
    case .initramfsTools:
      let path = "/etc/initramfs-tools/modules"
      let text = files.text(path) ?? ""
      let listed = Set(text.split(separator: "\n").map { $0.filter { $0 != " " && $0 != "\t" } })
      let missing = Self.wantedModules.filter { !listed.contains($0) }
      guard !missing.isEmpty else { return }
      let separator = text.isEmpty || text.hasSuffix("\n") ? "" : "\n"
      draft.write(path, text + separator + missing.joined(separator: "\n") + "\n", reason: reason)
    case .dracut:
      draft.write(
        "/etc/dracut.conf.d/godwit-virtio.conf",
        "add_drivers+=\" \(Self.wantedModules.joined(separator: " ")) \"\n", reason: reason)
    case nil: break
    }
  }
}
