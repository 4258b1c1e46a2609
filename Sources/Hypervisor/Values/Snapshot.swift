/// A volume's content at one instant. JSON: `{"id","volume","size","state","tags"}`.
public struct Snapshot: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case creating, ready, deleting, failed }

  public var id: String
  public var volume: String
  /// Bytes.
  public var size: UInt64
  public var state: State
  public var tags: [String: String]
}

/// What a snapshot should be: the body of `PUT /v1/snapshots/{id}`.
public struct SnapshotWish: Codable, Hashable, Sendable {
  public var volume: String
  public var tags: [String: String]

  public init(volume: String, tags: [String: String] = [:]) { (self.volume, self.tags) = (volume, tags) }
}

/// Everything that carries the tags asked for: the answer of `GET /v1/resources`.
public struct Resources: Codable, Hashable, Sendable {
  public var volumes: [Volume]
  public var snapshots: [Snapshot]
  public var machines: [Machine]
}
