public import Machines

/// Where launches run: machines started from volumes, and what can be seen of them. The rules of `Storage` hold here
/// too: idempotent by key, none waits, everything tagged, deletes final and repeatable.
///
/// A machine boots through its own firmware and loader; the repair appliance alone is started from a kernel.
public protocol Compute: Sendable {
  /// Starts a machine on volumes that stay the caller's: deleting the machine leaves them.
  func createMachine(_ id: ResourceID, _ wish: MachineWish, tags: Tags) async throws -> Machine
  func machine(_ id: ResourceID) async throws -> Machine?
  func deleteMachine(_ id: ResourceID) async throws
  /// Hard power off; the machine stays as `.stopped` and can be started again.
  func stopMachine(_ id: ResourceID) async throws
  /// Starts a stopped machine again on the same volumes.
  func startMachine(_ id: ResourceID) async throws
  /// The serial console from its first byte, at most the last `limit` bytes of it.
  func console(_ id: ResourceID, limit: Int) async throws -> [UInt8]
  /// What the screen shows, as PNG.
  func screenshot(_ id: ResourceID) async throws -> [UInt8]
  /// Every machine that carries all of `tags`.
  func listMachines(tags: Tags) async throws -> [Machine]
}

public struct Machine: Codable, Hashable, Sendable {
  public var id: ResourceID
  public var wish: MachineWish
  public var state: MachineState
  public var forwards: [PortForward]
  public var tags: Tags
  public init(id: ResourceID, wish: MachineWish, state: MachineState, forwards: [PortForward], tags: Tags) {
    (self.id, self.wish, self.state, self.forwards, self.tags) = (id, wish, state, forwards, tags)
  }
}

/// Why a provider would not do as asked.
public struct ProviderError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
  public enum Code: String, Codable, Hashable, Sendable {
    case notFound, conflict, inUse, invalid, quota, credentials, permission
    /// Try again later: throttled, busy, a broken connection. Whether the call took effect is not known.
    case unavailable
    case failed
  }
  public var code: Code
  public var message: String
  public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
  public var description: String { "\(message) (\(code.rawValue))" }
}

/// A cloud as the platform uses it.
public struct Provider: Sendable {
  /// `local`, `fake`.
  public var name: String
  public var storage: any Storage
  public var compute: any Compute
  public init(name: String, storage: any Storage, compute: any Compute) {
    (self.name, self.storage, self.compute) = (name, storage, compute)
  }
}
