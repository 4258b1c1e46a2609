/// What a machine of a cloud should be. One value from the workflow that wishes it to the host that starts it; only the
/// names of the volumes change on the way, as each of those asked knows them by its own.
public struct MachineWish: Codable, Hashable, Sendable {
  public enum Role: String, Codable, Hashable, Sendable {
    /// The tenant's machine, through its own firmware and loader.
    case guest
    /// The repair appliance: its own kernel, no network, ends by itself.
    case appliance
  }
  public enum Network: String, Codable, Hashable, Sendable {
    /// No way out; only the forwarded ports lead in.
    case isolated
    /// The target's ordinary network.
    case open
    /// No network card at all.
    case none
  }

  public var role: Role
  public var cpus: Int
  /// Bytes.
  public var memory: UInt64
  public var firmware: MachineDescription.Firmware
  /// In the order of the source's disks, which is that in which the guest sees them; the first one boots.
  public var volumes: [String]
  public var network: Network
  /// Guest TCP ports to reach from outside; the machine's `forwards` say where.
  public var forwardedPorts: [Int]
  /// What the appliance is told, as words of its kernel's command line: `firmware=bios`. Empty for guests.
  public var applianceArguments: [String]

  public init(
    role: Role, cpus: Int, memory: UInt64, firmware: MachineDescription.Firmware, volumes: [String],
    network: Network, forwardedPorts: [Int] = [], applianceArguments: [String] = []
  ) {
    (self.role, self.cpus, self.memory, self.firmware) = (role, cpus, memory, firmware)
    (self.volumes, self.network, self.forwardedPorts) = (volumes, network, forwardedPorts)
    self.applianceArguments = applianceArguments
  }
}

/// What became of a wish: `creating` until it runs; `stopped` when it ended by itself (an appliance) or was told to.
public enum MachineState: String, Codable, Hashable, Sendable { case creating, running, stopped, deleting, failed }

/// A guest TCP port and the address (`127.0.0.1:40022`) that leads to it.
public struct PortForward: Codable, Hashable, Sendable {
  public var guestPort: Int
  public var address: String
  public init(guestPort: Int, address: String) { (self.guestPort, self.address) = (guestPort, address) }
}
