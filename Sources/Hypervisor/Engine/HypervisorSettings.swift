import Glibc

/// How one hypervisor daemon is set up.
public struct HypervisorSettings: Sendable {
  /// The state folder; made if missing.
  public var state: String
  /// Kernel and initramfs of the repair appliance. Without them no appliance can be started and KVM cannot be proven.
  public var applianceKernel: String?
  public var applianceInitramfs: String?
  /// Seconds after which a running appliance is ended.
  public var applianceTimeLimit: Int
  /// How long a storage daemon may stay silent on its monitor before it is replaced.
  public var daemonPatience = Duration.seconds(30)
  /// UEFI firmware: code, and the variables each machine gets its own copy of.
  public var firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
  public var firmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"

  public init(
    state: String, applianceKernel: String? = nil, applianceInitramfs: String? = nil, applianceTimeLimit: Int = 300
  ) {
    (self.state, self.applianceKernel, self.applianceInitramfs) = (state, applianceKernel, applianceInitramfs)
    self.applianceTimeLimit = applianceTimeLimit
  }

  /// With the appliance's files as absolute paths: QEMU leaves the folder it was started in.
  func resolved() throws -> HypervisorSettings {
    var settings = self
    settings.applianceKernel = try applianceKernel.map(Self.resolve)
    settings.applianceInitramfs = try applianceInitramfs.map(Self.resolve)
    return settings
  }

  private static func resolve(_ path: String) throws -> String {
    guard let resolved = realpath(path, nil) else {
      throw HypervisorError(.invalid, "there is no file \(path)")
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
