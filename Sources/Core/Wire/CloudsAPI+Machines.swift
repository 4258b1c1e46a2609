public import Machines

extension CloudsAPI {
  /// What a machine should be. The JSON is that of `Providers.MachineWish`; volumes are this service's ids.
  public struct MachineShape: Codable, Hashable, Sendable {
    public enum Role: String, Codable, Hashable, Sendable { case guest, appliance }
    public enum Network: String, Codable, Hashable, Sendable { case isolated, open, none }

    public var role: Role
    public var cpus: Int
    /// Bytes.
    public var memory: UInt64
    public var firmware: MachineDescription.Firmware
    /// In the order of the source's disks; the first one boots.
    public var volumes: [String]
    public var network: Network
    /// Guest TCP ports to reach from outside.
    public var forwardedPorts: [Int]
    /// Words of the appliance's kernel command line; empty for guests.
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

  /// `PUT /machines/{id}`
  public struct MachineWish: Codable, Hashable, Sendable {
    public var target: String
    public var wish: MachineShape
    public var owner: String
    /// Seconds since 1970; from then on it is deleted.
    public var expiresAt: Int?
    public init(target: String, wish: MachineShape, owner: String, expiresAt: Int? = nil) {
      (self.target, self.wish, self.owner, self.expiresAt) = (target, wish, owner, expiresAt)
    }
  }

  public struct Machine: Codable, Hashable, Sendable {
    /// `creating` until it runs; `stopped` when it ended by itself (an appliance) or was told to.
    public enum State: String, Codable, Hashable, Sendable { case creating, running, stopped, deleting, failed }
    public struct Forward: Codable, Hashable, Sendable {
      public var guestPort: Int
      /// `127.0.0.1:40022`
      public var address: String
      public init(guestPort: Int, address: String) { (self.guestPort, self.address) = (guestPort, address) }
    }

    public var id: String
    public var state: State
    public var target: String
    public var wish: MachineShape
    public var forwards: [Forward]
    public var owner: String
    public var expiresAt: Int?
    public var problem: Problem?
    public init(
      id: String, state: State, target: String, wish: MachineShape, forwards: [Forward] = [], owner: String,
      expiresAt: Int? = nil, problem: Problem? = nil
    ) {
      (self.id, self.state, self.target, self.wish) = (id, state, target, wish)
      (self.forwards, self.owner, self.expiresAt, self.problem) = (forwards, owner, expiresAt, problem)
    }
  }

  /// `POST /machines/{id}/power`: 202. Repeating is harmless.
  public struct Power: Codable, Hashable, Sendable {
    public enum Action: String, Codable, Hashable, Sendable { case stop, start }
    public var action: Action
    public init(action: Action) { self.action = action }
  }

  /// `GET /ledger?owner=`: every object that was ever wished and is not proven gone.
  public struct LedgerEntry: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable { case volume, snapshot, machine }
    public var kind: Kind
    public var id: String
    /// The id the object has at the provider, chosen before it was created.
    public var key: String
    public var target: String
    public var owner: String
    /// `intended, creating, ready, deleting, failed`
    public var state: String
    public var expiresAt: Int?
    /// Seconds since 1970.
    public var createdAt: Int
    public init(
      kind: Kind, id: String, key: String, target: String, owner: String, state: String, expiresAt: Int?,
      createdAt: Int
    ) {
      (self.kind, self.id, self.key, self.target) = (kind, id, key, target)
      (self.owner, self.state, self.expiresAt, self.createdAt) = (owner, state, expiresAt, createdAt)
    }
  }

  /// `GET /leaks`: where provider and ledger differ. Nothing is deleted because of it.
  public struct Leaks: Codable, Hashable, Sendable {
    public struct Stray: Codable, Hashable, Sendable {
      public var kind: LedgerEntry.Kind
      public var key: String
      public var target: String
      public var owner: String?
      public init(kind: LedgerEntry.Kind, key: String, target: String, owner: String?) {
        (self.kind, self.key, self.target, self.owner) = (kind, key, target, owner)
      }
    }
    /// At the provider with our tags, in no row of the ledger.
    public var unaccounted: [Stray]
    /// Said to be ready in the ledger, gone at the provider.
    public var missing: [LedgerEntry]
    /// Targets that could not be asked, and why.
    public var unreachable: [String: String]
    public init(unaccounted: [Stray], missing: [LedgerEntry], unreachable: [String: String]) {
      (self.unaccounted, self.missing, self.unreachable) = (unaccounted, missing, unreachable)
    }
  }
}
