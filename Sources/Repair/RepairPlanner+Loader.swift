extension RepairPlanner {
  private static let loaderFiles = [
    "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub/menu.lst", "/boot/grub/grub.conf",
    "/boot/grub2/grubenv", "/boot/grub/grubenv", "/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg",
    "/extlinux.conf", "/etc/kernel/cmdline", "/etc/sysconfig/grub"
  ]

  /// Kernel command lines find their root by UUID; what the loader knew of the old disks goes.
  func planLoader(_ draft: inout RepairDraft) {
    let entries = files.names(in: "/boot/loader/entries").filter { $0.hasSuffix(".conf") }
    let paths = Self.loaderFiles + entries.map { "/boot/loader/entries/" + $0 }
    let found = paths.filter { files.isFile($0) && !$0.hasPrefix("/etc/") }
    draft.findings["loader"] = found.isEmpty ? "none" : found[0]
    for path in paths {
      guard let text = files.text(path) else { continue }
      let renamed = replacingDevices(text)
      guard renamed != text else { continue }
      let reason = "The kernel command line names the root by a device that has another name on the target."
      if path.hasSuffix("/grubenv") {
        draft.write(path, bytes: Self.environmentBlock(renamed), reason: reason)
      } else {
        draft.write(path, renamed, reason: reason)
      }
    }
    planDefaultGrub(&draft)
    for path in ["/boot/grub/device.map", "/boot/grub2/device.map"] {
      draft.remove(path, reason: "It lists the disks of the old machine.")
    }
    if found.isEmpty, !files.isFolder("/boot/efi/EFI"), !files.isFolder("/efi/EFI") {
      draft.doubt(
        "no_loader", "No configuration of a known boot loader was found in /boot.",
        remedy: "Check how the machine boots; grub, extlinux and boot loader entries are understood.")
    }
  }

  private func planDefaultGrub(_ draft: inout RepairDraft) {
    let path = "/etc/default/grub"
    guard let text = files.text(path) else { return }
    let lines = replacingDevices(text).split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.hasPrefix("GRUB_DISABLE_LINUX_UUID=") ? "#" + line : String(line)
    }
    draft.write(
      path, lines.joined(separator: "\n"), reason: "The menu that grub makes at its next update finds the root by UUID."
    )
  }

  /// Replaces device names after `root=`, `real_root=` and `resume=`.
  func replacingDevices(_ text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let word = rest.firstRange(ofAny: ["root=/dev/", "resume=/dev/"]) {
      let start = text.index(word.upperBound, offsetBy: -5)
      let end = rest[start...].firstIndex { $0.isWhitespace || "\"'\\,;".contains($0) } ?? rest.endIndex
      result += rest[..<start]
      result += replacement(String(rest[start..<end]), isRoot: rest[word].hasPrefix("root="))
      rest = rest[end...]
    }
    return result + rest
  }

  private func replacement(_ device: String, isRoot: Bool) -> String {
    guard DeviceNames.isUnstable(device) else { return device }
    if let content = names.content(of: device), !content.uuid.isEmpty { return "UUID=\(content.uuid)" }
    // A loader can only mean the one root there is.
    return isRoot ? root.map { "UUID=\($0.uuid)" } ?? device : device
  }

  /// grub reads an environment block of exactly 1024 bytes.
  private static func environmentBlock(_ text: String) -> [UInt8] {
    var bytes = Array(text.utf8)
    while bytes.last == UInt8(ascii: "#") { bytes.removeLast() }
    return bytes + [UInt8](repeating: UInt8(ascii: "#"), count: max(0, 1024 - bytes.count))
  }
}

extension Substring {
  /// The first place where one of `words` stands.
  fileprivate func firstRange(ofAny words: [String]) -> Range<Index>? {
    words.compactMap { firstRange(of: $0) }.min { $0.lowerBound < $1.lowerBound }
  }
}
