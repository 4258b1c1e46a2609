public import Machines

/// A machine on this host. JSON: `{"id","wish","state","forwards":[{"guestPort","address"}],"tags","reason"?}`.
public struct Machine: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case creating, running, stopped, deleting, failed }

  /// A guest TCP port and the loopback address that leads to it.
  public struct Forward: Codable, Hashable, Sendable {
    public var guestPort: Int
    /// `127.0.0.1:40022`
    public var address: String
  }

  public var id: String
  public var wish: MachineWish
  public var state: State
  public var forwards: [Forward]
  public var tags: [String: String]
  /// Why it failed; nil otherwise.
  public var reason: String?
}

/// What a machine should be. The body of `PUT /v1/machines/{id}` is `{"wish": MachineWish, "tags": {...}}`.
public struct MachineWish: Codable, Hashable, Sendable {
  public enum Role: String, Codable, Hashable, Sendable { case guest, appliance }
  public enum Network: String, Codable, Hashable, Sendable { case isolated, open, none }

  public var role: Role
  public var cpus: Int
  /// Bytes.
  public var memory: UInt64
  public var firmware: MachineDescription.Firmware
  /// In the order in which the guest sees them; the first one boots.
  public var volumes: [String]
  public var network: Network
  public var forwardedPorts: [Int]
  /// Words for the appliance kernel's command line.
  public var applianceArguments: [String]

  public init(
    role: Role, cpus: Int, memory: UInt64, firmware: MachineDescription.Firmware, volumes: [String], network: Network,
    forwardedPorts: [Int] = [], applianceArguments: [String] = []
  ) {
    (self.role, self.cpus, self.memory, self.firmware) = (role, cpus, memory, firmware)
    (self.volumes, self.network, self.forwardedPorts) = (volumes, network, forwardedPorts)
    self.applianceArguments = applianceArguments
  }
}

/// The body of `PUT /v1/machines/{id}`.
public struct MachineRequest: Codable, Hashable, Sendable {
  public var wish: MachineWish
  public var tags: [String: String]

  public init(wish: MachineWish, tags: [String: String] = [:]) { (self.wish, self.tags) = (wish, tags) }
}
