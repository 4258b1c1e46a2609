public import Machines

extension MigrationAPI {
  /// `POST /migrations/{id}/launches`: a test machine from a point. What is nil is chosen from the source.
  public struct LaunchWish: Codable, Hashable, Sendable {
    /// nil: the newest point.
    public var point: String?
    /// Seconds until everything of it is removed; 1 h when nil, at most 7 days.
    public var expiresIn: Int?
    public var cpus: Int?
    /// Bytes.
    public var memory: UInt64?
    /// Guest TCP ports to reach from outside; 22 when nil.
    public var ports: [Int]?
    /// Text on the serial console that proves the start; a login prompt when nil.
    public var successText: String?
    /// A forwarded port whose greeting proves the start as well.
    public var successPort: Int?
    /// Seconds the machine may take to prove itself; 300 when nil.
    public var bootSeconds: Int?
    /// As in `MigrationWish`.
    public var key: String?
    public init(
      point: String? = nil, expiresIn: Int? = nil, cpus: Int? = nil, memory: UInt64? = nil, ports: [Int]? = nil,
      successText: String? = nil, successPort: Int? = nil, bootSeconds: Int? = nil, key: String? = nil
    ) {
      (self.point, self.expiresIn, self.cpus, self.memory) = (point, expiresIn, cpus, memory)
      (self.ports, self.successText, self.successPort) = (ports, successText, successPort)
      (self.bootSeconds, self.key) = (bootSeconds, key)
    }
  }

  public struct Launch: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable { case test, `switch` }
    public enum State: String, Codable, Hashable, Sendable {
      case cloning, repairing, starting
      /// It runs and has proven itself.
      case running
      /// Its resources are being removed.
      case removing
      /// Over: it ran, and everything of it is gone.
      case removed
      /// Over: it did not start, `problem` says why; everything of it is gone.
      case failed
      /// A switched machine after a rollback: powered off, its volumes kept.
      case stopped
      /// A switched machine after finish: the tenant's own.
      case handedOver
    }
    public struct Proof: Codable, Hashable, Sendable {
      /// What was found on the console, on which port, or what failed.
      public var verdict: String
      public var passed: Bool
      /// The last 64 KiB of the serial console; bytes that are not text are replaced.
      public var console: String
      /// `GET .../screenshot` has a picture.
      public var screenshot: Bool
      public var at: Int
      public init(verdict: String, passed: Bool, console: String, screenshot: Bool, at: Int) {
        (self.verdict, self.passed, self.console) = (verdict, passed, console)
        (self.screenshot, self.at) = (screenshot, at)
      }
    }
    public struct Forward: Codable, Hashable, Sendable {
      public var guestPort: Int
      public var address: String
      public init(guestPort: Int, address: String) { (self.guestPort, self.address) = (guestPort, address) }
    }
    public var id: String
    public var migration: String
    public var point: String
    public var kind: Kind
    public var state: State
    /// The machine at the clouds service.
    public var machine: String
    public var forwards: [Forward]
    public var repair: RepairReport?
    public var proof: Proof?
    public var problem: Problem?
    public var createdAt: Int
    public var expiresAt: Int?
    public init(
      id: String, migration: String, point: String, kind: Kind, state: State, machine: String, forwards: [Forward],
      repair: RepairReport?, proof: Proof?, problem: Problem?, createdAt: Int, expiresAt: Int?
    ) {
      (self.id, self.migration, self.point, self.kind) = (id, migration, point, kind)
      (self.state, self.machine, self.forwards, self.repair) = (state, machine, forwards, repair)
      (self.proof, self.problem, self.createdAt, self.expiresAt) = (proof, problem, createdAt, expiresAt)
    }
  }
}
