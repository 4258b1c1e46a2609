public import Machines

extension CloudsAPI {
  /// `PUT /machines/{id}`
  public struct MachineRequest: Codable, Hashable, Sendable {
    public var target: String
    public var wish: MachineWish
    public var owner: String
    /// Seconds since 1970; from then on it is deleted.
    public var expiresAt: Int?
    public init(target: String, wish: MachineWish, owner: String, expiresAt: Int? = nil) {
      (self.target, self.wish, self.owner, self.expiresAt) = (target, wish, owner, expiresAt)
    }
  }

  public struct Machine: Codable, Hashable, Sendable {
    public var id: String
    public var state: MachineState
    public var target: String
    public var wish: MachineWish
    public var forwards: [PortForward]
    public var owner: String
    public var expiresAt: Int?
    public var problem: Problem?
    public init(
      id: String, state: MachineState, target: String, wish: MachineWish, forwards: [PortForward] = [], owner: String,
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
