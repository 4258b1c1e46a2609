internal import CLinuxBlock
internal import Glibc

/// Which rung of tracking works, and why the others do not.
extension Doctor {
  func tracking() -> [Finding] {
    if disks.isEmpty {
      return [Finding(.tracking, .stop, "no disk with data was found", remedy: "run as root")]
    }
    let kernel = KernelInterfaces()
    return disks.map { tracking(of: $0, kernel) }
  }

  private func tracking(of disk: String, _ kernel: KernelInterfaces) -> Finding {
    var working: [TrackingRung] = []
    var reasons: [String] = []
    for rung in TrackingRung.allCases {
      do throws(TrackingRefusal) {
        // Another tracer on the disk may be the agent that runs: it is left alone.
        _ = try DiskTracker(.init(name: disk, rung: rung, disks: disks.count, takesOver: false), kernel: kernel)
        working.append(rung)
      } catch { reasons.append("\(rung.rawValue) does not: \(error.reason)") }
    }
    return Self.judge(
      disk, working: working, reasons: reasons, remedies: Self.remedies(disk, reasons, lockdown: Self.lockdown))
  }

  static func judge(_ disk: String, working: [TrackingRung], reasons: [String], remedies: [String]) -> Finding {
    let remedy = remedies.isEmpty ? nil : remedies.joined(separator: "; ")
    guard let best = working.first else {
      return Finding(
        .tracking, disk, .stop, "writes cannot be tracked: " + reasons.joined(separator: "; "), remedy: remedy)
    }
    let others = working.dropFirst().map { "\($0.rawValue) works, too" } + reasons
    let text = "\(best.rawValue) works" + others.map { "; " + $0 }.joined()
    return best == .blktrace
      ? Finding(
        .tracking, disk, .warn, text + "; without BPF every restart of the agent costs a comparison", remedy: remedy)
      : Finding(.tracking, disk, .ok, text)
  }

  /// `none`, `integrity`, `confidentiality`; nil where this kernel has no lockdown.
  static var lockdown: String? {
    guard let text = SystemFile.text("/sys/kernel/security/lockdown"), let start = text.firstIndex(of: "["),
      let end = text.firstIndex(of: "]"), start < end
    else { return nil }
    return String(text[text.index(after: start)..<end])
  }

  /// What could be done about these reasons.
  static func remedies(_ disk: String, _ reasons: [String], lockdown: String?) -> [String] {
    let all = reasons.joined(separator: "\n")
    var remedies: [String] = []
    if all.contains("iostats") { remedies.append("echo 1 > /sys/block/\(disk)/queue/iostats") }
    if all.contains("track those") { remedies.append("name the disks below it") }
    if all.contains("only 0 were seen") {
      remedies.append(
        "requests go past this device: where it is a head of several paths (multipath), track the disk of each path, "
          + "or use one path; persistent memory with DAX cannot be tracked")
    }
    if all.contains("Function not implemented") {
      remedies.append("this kernel was built without the bpf system call (CONFIG_BPF_SYSCALL)")
    }
    if all.contains("Operation not permitted") || all.contains("Permission denied") {
      if let lockdown, lockdown != "none" {
        remedies.append("the kernel is locked down (\(lockdown)), which forbids blktrace")
      } else {
        remedies.append("run as root, outside of containers")
      }
    }
    if all.contains("no BTF") { remedies.append("tp_btf needs a kernel with CONFIG_DEBUG_INFO_BTF") }
    if all.contains("no tracefs") { remedies.append("mount -t tracefs tracefs /sys/kernel/tracing") }
    return remedies
  }

  /// Whether tracking can outlive the agent.
  func persistence() -> Finding {
    let parent = String(places.pins[..<(places.pins.lastIndex(of: "/") ?? places.pins.startIndex)])
    if lb_is_bpf_filesystem(parent) == 1 {
      return Finding(.persistence, .ok, "tracking goes on while the agent restarts (\(parent))")
    }
    let mounted = lb_detached_mount("bpf")
    if mounted >= 0 {
      close(mounted)
      return Finding(.persistence, .ok, "tracking goes on while the agent restarts, in a BPF filesystem of its own")
    }
    return Finding(
      .persistence, .warn, "no BPF filesystem can be mounted, so every restart of the agent costs a comparison",
      remedy: "mount -t bpf bpf \(parent)")
  }
}
