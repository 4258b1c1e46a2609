/// A disk kept by this host. JSON: `{"id","size","state","origin"?,"tags"}`.
public struct Volume: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case creating, ready, deleting, failed }

  public var id: String
  /// Bytes, a multiple of 512.
  public var size: UInt64
  public var state: State
  /// The snapshot it was made from.
  public var origin: String?
  public var tags: [String: String]
}

/// What a volume should be: the body of `PUT /v1/volumes/{id}`.
public struct VolumeWish: Codable, Hashable, Sendable {
  /// Bytes, a multiple of 512; not less than the snapshot's.
  public var size: UInt64
  /// The snapshot to start from; without one the volume reads as zeros.
  public var origin: String?
  public var tags: [String: String]

  public init(size: UInt64, origin: String? = nil, tags: [String: String] = [:]) {
    (self.size, self.origin, self.tags) = (size, origin, tags)
  }
}

/// Where an attached volume can be written: the answer of `PUT /v1/volumes/{id}/attachment`.
public struct Attachment: Codable, Hashable, Sendable {
  /// `nbd+unix:///volume?socket=PATH`
  public var location: String
}
