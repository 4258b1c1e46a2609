internal import Glibc

/// Freezing, hooks and memory.
extension Doctor {
  func freezing() -> [Finding] {
    let filesystems = MountedFilesystem.on(disks: disks)
    if filesystems.isEmpty {
      return [
        Finding(
          .freezing, .warn, "no mounted filesystem lies on the disks, so points are consistent as after a power loss")
      ]
    }
    var findings = filesystems.filter { !$0.canFreeze }.map { filesystem in
      Finding(
        .freezing, filesystem.mountPoint, .warn,
        "\(filesystem.type) cannot be frozen: it is consistent as after a power loss",
        remedy: "keep it quiet with hooks in \(places.hooks), or unmount it for the switch")
    }
    let able = filesystems.filter(\.canFreeze).map(\.mountPoint).sorted()
    if !able.isEmpty {
      findings.append(Finding(.freezing, .ok, "can be frozen: " + able.joined(separator: ", ")))
    }
    return findings
  }

  func hooks() -> [Finding] {
    guard access(places.hooks, F_OK) == 0 else { return [Finding(.hooks, .ok, "there are none")] }
    let hooks = Hooks(folder: places.hooks)
    let known = [Hooks.Moment.preSwitch, .pre, .post].flatMap { hooks.names(for: $0) }
    var findings: [Finding] = []
    for name in SystemFile.names(in: places.hooks) {
      let path = "\(places.hooks)/\(name)"
      if !known.contains(name) {
        findings.append(
          Finding(
            .hooks, name, .warn, "it never runs: its name says no moment",
            remedy: "let it begin with pre-, post- or pre-switch-, or take it away"))
      } else if let refusal = hooks.refusal(of: path) {
        findings.append(
          Finding(.hooks, name, .stop, refusal, remedy: "chown root: \(path); chmod 0700 \(places.hooks) \(path)"))
      } else if access(path, X_OK) != 0 {
        findings.append(Finding(.hooks, name, .stop, "it is not executable", remedy: "chmod 0700 \(path)"))
      } else {
        findings.append(Finding(.hooks, name, .ok, "it will run"))
      }
    }
    return findings.isEmpty ? [Finding(.hooks, .ok, "there are none")] : findings
  }

  func memory() -> Finding { Self.memory(SystemFile.text("/proc/meminfo") ?? "") }

  /// - Parameter text: of /proc/meminfo.
  static func memory(_ text: String) -> Finding {
    func kib(_ key: String) -> Int? {
      text.split(separator: "\n").first { $0.hasPrefix(key + ":") }?.split(separator: " ").dropFirst().first
        .flatMap { Int($0) }
    }
    // Before Linux 3.14 only what is free is said.
    guard let available = kib("MemAvailable") ?? kib("MemFree") else {
      return Finding(.memory, .warn, "/proc/meminfo does not say how much memory is free")
    }
    let said = "\(available >> 10) MiB are available, the agent needs up to 64"
    switch available >> 10 {
    case ..<80: return Finding(.memory, .stop, said, remedy: "free some memory, or add swap")
    case ..<200: return Finding(.memory, .warn, said, remedy: "free some memory, or add swap")
    default: return Finding(.memory, .ok, said)
    }
  }
}
