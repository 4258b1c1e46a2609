import FoundationEssentials
import Glibc
import Logging

extension LocalCloud {
  /// A verdict holds until the host, or the kernel that proved it, changes.
  private struct Remembered: Codable {
    var boot: String
    var kernel: String?
    var verdict: AcceleratorVerdict
  }

  /// The accelerator for machines, proven once in a boot of the host.
  public func accelerator() async -> AcceleratorVerdict {
    if let verdict = read({ $0.verdict }) { return verdict }
    return await probing.withTurn {
      if let verdict = read({ $0.verdict }) { return verdict }
      let verdict = await judge()
      remember(verdict)
      logger.info(
        "accelerator chosen",
        metadata: ["accelerator": "\(verdict.accelerator.rawValue)", "accelerator.reason": "\(verdict.reason)"])
      return verdict
    }
  }

  private func judge() async -> AcceleratorVerdict {
    let place = "\(folder.path)/accelerator.json"
    let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
    if let bytes = try? Data(contentsOf: URL(filePath: place)),
      let remembered = try? JSONDecoder().decode(Remembered.self, from: bytes),
      remembered.boot == boot, remembered.kernel == settings.applianceKernel
    {
      return remembered.verdict
    }
    let verdict = await probe()
    let remembered = Remembered(boot: boot, kernel: settings.applianceKernel, verdict: verdict)
    if let bytes = try? JSONEncoder().encode(remembered) {
      try? await blocking {
        try DurableFile.write([UInt8](bytes), to: place + ".part")
        try DurableFile.rename(place + ".part", to: place)
      }
    }
    return verdict
  }

  private func probe() async -> AcceleratorVerdict {
    guard access("/dev/kvm", R_OK | W_OK) == 0 else {
      return AcceleratorVerdict(accelerator: .tcg, reason: "/dev/kvm is missing or not open to this user")
    }
    guard let kernel = settings.applianceKernel else {
      return AcceleratorVerdict(
        accelerator: .tcg, reason: "KVM is not proven: that needs a kernel to boot (--appliance-kernel)")
    }
    do {
      if let failure = try await AcceleratorProbe(kernel: kernel, run: folder.probeRun).failure(of: .kvm) {
        return AcceleratorVerdict(accelerator: .tcg, reason: "a probe boot under KVM failed: \(failure)")
      }
      return AcceleratorVerdict(accelerator: .kvm, reason: "a probe boot under KVM reached its first process")
    } catch {
      return AcceleratorVerdict(accelerator: .tcg, reason: "the probe boot could not be made: \(error)")
    }
  }
}
