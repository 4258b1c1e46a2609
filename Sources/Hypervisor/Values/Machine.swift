public import Machines

/// A machine on this host. JSON: `{"id","wish","state","forwards":[{"guestPort","address"}],"tags","reason"?}`.
public struct Machine: Codable, Hashable, Sendable {
  public var id: String
  public var wish: MachineWish
  public var state: MachineState
  public var forwards: [PortForward]
  public var tags: [String: String]
  /// Why it failed; nil otherwise.
  public var reason: String?
}

/// The body of `PUT /v1/machines/{id}`: `{"wish": MachineWish, "tags": {...}}`.
public struct MachineRequest: Codable, Hashable, Sendable {
  public var wish: MachineWish
  public var tags: [String: String]

  public init(wish: MachineWish, tags: [String: String] = [:]) { (self.wish, self.tags) = (wish, tags) }
}
