/// Where replicas are kept: volumes, snapshots of them, and volumes made from snapshots.
///
/// The rules every provider keeps, checked by `ProviderRules`:
/// - **Idempotent by key.** The caller chooses each `id` (a ledger key). A second call with the same id and the same
///   wishes answers with what exists; with other wishes it throws `.conflict`. So a lost answer is mended by asking again.
/// - **None waits.** A call that starts work answers at once with a state (`.creating`, `.deleting`); the caller asks
///   `volume(_:)`, `snapshot(_:)` until the state is final. Nothing here polls, retries or cleans up.
/// - **Everything is tagged.** `tags` given at creation come back in every description and can be searched by `list`.
/// - **Deletes are final and repeatable.** Deleting what is gone succeeds. Deleting what others depend on (a snapshot
///   with clones, a volume that is attached) throws `.inUse` and changes nothing.
/// - **A snapshot never changes**, whatever is written to its volume or to clones of it.
/// - **Formats are explicit.** Whatever bytes a volume holds, they are never taken for a container format.
public protocol Storage: Sendable {
  /// A new volume that reads as zeros, or, with `snapshot`, one that reads as that snapshot.
  func createVolume(_ id: ResourceID, size: UInt64, from snapshot: ResourceID?, tags: Tags) async throws -> Volume
  /// The volume, or nil if there is none of that id.
  func volume(_ id: ResourceID) async throws -> Volume?
  func deleteVolume(_ id: ResourceID) async throws

  /// Makes the volume writable for a gateway beside it. The answer says where: `nbd+unix:///NAME?socket=PATH`, `file:PATH`
  /// or `device:PATH`. Attaching again answers the same place.
  func attachVolume(_ id: ResourceID) async throws -> String
  /// Ends that. Everything flushed before stays.
  func detachVolume(_ id: ResourceID) async throws

  /// The volume's content at an instant within the call. Works while the volume is attached; what was flushed before
  /// the call is in it.
  func createSnapshot(_ id: ResourceID, of volume: ResourceID, tags: Tags) async throws -> Snapshot
  func snapshot(_ id: ResourceID) async throws -> Snapshot?
  func deleteSnapshot(_ id: ResourceID) async throws

  /// Every volume and snapshot that carries all of `tags`.
  func list(tags: Tags) async throws -> [StoredResource]
}

/// A name given by the caller: `[a-z0-9-]{1,63}`; opaque to the provider.
public struct ResourceID: Hashable, Codable, Sendable, RawRepresentable, CustomStringConvertible {
  public var rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public var description: String { rawValue }
}

/// Labels of a cloud object. Godwit's own: `godwit-tenant`, `godwit-owner` (the migration), `godwit-expires` (seconds
/// since 1970).
public typealias Tags = [String: String]

public enum ResourceState: String, Codable, Hashable, Sendable { case creating, ready, deleting, failed }

public struct Volume: Codable, Hashable, Sendable {
  public var id: ResourceID
  /// Bytes.
  public var size: UInt64
  public var state: ResourceState
  /// The snapshot it was made from.
  public var origin: ResourceID?
  public var tags: Tags
  public init(id: ResourceID, size: UInt64, state: ResourceState, origin: ResourceID?, tags: Tags) {
    (self.id, self.size, self.state, self.origin, self.tags) = (id, size, state, origin, tags)
  }
}

public struct Snapshot: Codable, Hashable, Sendable {
  public var id: ResourceID
  public var volume: ResourceID
  public var size: UInt64
  public var state: ResourceState
  public var tags: Tags
  public init(id: ResourceID, volume: ResourceID, size: UInt64, state: ResourceState, tags: Tags) {
    (self.id, self.volume, self.size, self.state, self.tags) = (id, volume, size, state, tags)
  }
}

public enum StoredResource: Codable, Hashable, Sendable {
  case volume(Volume)
  case snapshot(Snapshot)
  case machine(Machine)
}
