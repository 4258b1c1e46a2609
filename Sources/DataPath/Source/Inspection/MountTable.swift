internal import Glibc

/// What is mounted from block devices, by /proc/self/mountinfo.
struct MountTable {
  /// One for each device, at its first mount point that shows the filesystem's own root.
  let filesystems: [MountedFilesystem]

  /// - Parameter root: where the machine's files begin: empty for this machine, or a copy of parts of /proc and /sys.
  init(root: String) {
    let devices = DeviceGraph(root: root)
    self.init(
      mountInfo: SystemFile.text(root + "/proc/self/mountinfo") ?? "",
      deviceName: { SystemFile.linkName("\(root)/sys/dev/block/\($0)") ?? nil },
      deviceAtPath: devices.device(atPath:))
  }

  /// - Parameters:
  ///   - deviceName: the kernel name of a device number such as `8:1`.
  ///   - deviceAtPath: the kernel name of what a mount calls its source.
  init(mountInfo: String, deviceName: (String) -> String?, deviceAtPath: (String) -> String?) {
    var seen: [String: MountedFilesystem] = [:]
    var wholeRoot: Set<String> = []
    for line in mountInfo.split(separator: "\n") {
      let halves = line.components(separatedBy: " - ")
      guard halves.count == 2 else { continue }
      let fields = halves[0].split(separator: " ").map(String.init)
      let source = halves[1].split(separator: " ").map(String.init)
      guard fields.count >= 6, source.count >= 2, let id = Int(fields[0]) else { continue }
      guard let device = Self.device(fields[2], source[1], deviceName, deviceAtPath) else { continue }
      // A bind mount of a folder names the same filesystem; its own root is the better place.
      let isRoot = fields[3] == "/"
      if seen[device] != nil && (!isRoot || wholeRoot.contains(device)) { continue }
      if isRoot { wholeRoot.insert(device) }
      seen[device] = MountedFilesystem(
        mountPoint: Self.unescape(fields[4]), type: source[0], device: device, mountID: id)
    }
    filesystems = seen.values.sorted { $0.mountID < $1.mountID }
  }

  /// btrfs mounts carry a device number of their own (major 0) and name the device as their source.
  private static func device(
    _ number: String, _ source: String, _ deviceName: (String) -> String?, _ deviceAtPath: (String) -> String?
  ) -> String? {
    number.hasPrefix("0:") ? deviceAtPath(unescape(source)) : deviceName(number)
  }

  /// Spaces and the like stand as `\040`.
  static func unescape(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Substring {
  fileprivate func components(separatedBy separator: String) -> [Substring] {
    guard let range = firstRange(of: separator) else { return [self] }
    return [self[..<range.lowerBound], self[range.upperBound...]]
  }
}
