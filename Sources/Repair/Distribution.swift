/// Which Linux a guest is, and what makes its initramfs.
struct Distribution: Hashable, Sendable {
  enum InitramfsTool: String, Hashable, Sendable {
    case initramfsTools = "initramfs-tools"
    case dracut
  }

  /// `PRETTY_NAME`, or what comes nearest.
  var title: String
  var initramfsTool: InitramfsTool?

  init(_ files: GuestFiles) {
    let release = files.text("/etc/os-release") ?? files.text("/usr/lib/os-release") ?? ""
    title =
      Self.value("PRETTY_NAME", in: release) ?? Self.value("ID", in: release)
      ?? files.text("/etc/redhat-release")?.split(separator: "\n").first.map(String.init)
      ?? "A system without /etc/os-release"
    if files.isFolder("/etc/initramfs-tools") {
      initramfsTool = .initramfsTools
    } else if files.isFolder("/etc/dracut.conf.d") || files.isFile("/etc/dracut.conf")
      || files.isFolder("/usr/lib/dracut")
    {
      initramfsTool = .dracut
    }
  }

  private static func value(_ key: String, in text: String) -> String? {
    for line in text.split(separator: "\n") where line.hasPrefix(key + "=") {
      let value = line.dropFirst(key.count + 1)
      return String(value.hasPrefix("\"") && value.hasSuffix("\"") ? value.dropFirst().dropLast() : value)
    }
    return nil
  }
}
