/// What the clouds service and its callers say to each other. JSON under `/v1/tenants/{tenant}`, with a service token.
///
/// Desired state: a `PUT` records the wish and answers 202; `GET` tells how far it is. Ids are the caller's, match
/// `[a-z0-9-]{1,63}`, and are idempotency keys: the same wish again changes nothing, another wish under the same id is
/// `409 conflict`. An id whose object was deleted may be used again.
public enum CloudsAPI {
  /// `PUT /targets/{id}`: an account in a cloud. `secret` is write-only and never answered.
  public struct TargetWish: Codable, Hashable, Sendable {
    /// `local` or `fake`.
    public var provider: String
    /// `http://HOST:PORT`, or `unix:PATH` for a socket on this machine.
    public var endpoint: String
    public var secret: String?
    public init(provider: String, endpoint: String, secret: String? = nil) {
      (self.provider, self.endpoint, self.secret) = (provider, endpoint, secret)
    }
  }

  /// `GET /targets/{id}`, and the elements of `GET /targets`.
  public struct Target: Codable, Hashable, Sendable {
    public var id: String
    public var provider: String
    public var endpoint: String
    public var hasSecret: Bool
    public init(id: String, provider: String, endpoint: String, hasSecret: Bool) {
      (self.id, self.provider, self.endpoint, self.hasSecret) = (id, provider, endpoint, hasSecret)
    }
  }

  /// How far a wished object is. `failed` stays until the object is deleted; `problem` says why.
  public enum State: String, Codable, Hashable, Sendable { case creating, ready, deleting, failed }

  /// `PUT /volumes/{id}`
  public struct VolumeWish: Codable, Hashable, Sendable {
    public var target: String
    /// Bytes.
    public var size: UInt64
    /// A snapshot id of the same target; the volume then reads as it does.
    public var fromSnapshot: String?
    /// Who it belongs to (a migration's id); `DELETE /owners/{owner}` takes down everything of an owner.
    public var owner: String
    /// Seconds since 1970; from then on it is deleted.
    public var expiresAt: Int?
    public init(target: String, size: UInt64, fromSnapshot: String? = nil, owner: String, expiresAt: Int? = nil) {
      (self.target, self.size, self.fromSnapshot) = (target, size, fromSnapshot)
      (self.owner, self.expiresAt) = (owner, expiresAt)
    }
  }

  public struct Volume: Codable, Hashable, Sendable {
    public var id: String
    public var state: State
    /// Bytes.
    public var size: UInt64
    public var target: String
    public var fromSnapshot: String?
    public var owner: String
    public var expiresAt: Int?
    /// Set while it is attached.
    public var location: String?
    public var problem: Problem?
    public init(
      id: String, state: State, size: UInt64, target: String, fromSnapshot: String? = nil, owner: String,
      expiresAt: Int? = nil, location: String? = nil, problem: Problem? = nil
    ) {
      (self.id, self.state, self.size, self.target) = (id, state, size, target)
      (self.fromSnapshot, self.owner, self.expiresAt) = (fromSnapshot, owner, expiresAt)
      (self.location, self.problem) = (location, problem)
    }
  }

  /// `PUT /volumes/{id}/attachment` (200, or `409 not_ready` until the volume is ready): where the gateway finds it.
  public struct Attachment: Codable, Hashable, Sendable {
    /// As `Storage.attachVolume` says: `nbd+unix:///NAME?socket=PATH`, `file:PATH`, `device:PATH`.
    public var location: String
    public var gateway: Gateway
    public init(location: String, gateway: Gateway) { (self.location, self.gateway) = (location, gateway) }
  }

  public struct Gateway: Codable, Hashable, Sendable {
    /// `https://HOST:PORT`
    public var url: String
    /// PEM of the CA that signed the gateway's certificate.
    public var ca: String
    /// Ed25519 key that the gateway signs receipts with, base64url.
    public var key: String
    /// PEM of the CA's certificate on that key (`SignerRole.gateway`); without it no point has evidence.
    public var certificate: String?
    public init(url: String, ca: String, key: String, certificate: String? = nil) {
      (self.url, self.ca, self.key, self.certificate) = (url, ca, key, certificate)
    }
  }

  /// `PUT /snapshots/{id}`: the content of a volume at an instant within the creation.
  public struct SnapshotWish: Codable, Hashable, Sendable {
    public var target: String
    public var volume: String
    public var owner: String
    public var expiresAt: Int?
    public init(target: String, volume: String, owner: String, expiresAt: Int? = nil) {
      (self.target, self.volume, self.owner, self.expiresAt) = (target, volume, owner, expiresAt)
    }
  }

  public struct Snapshot: Codable, Hashable, Sendable {
    public var id: String
    public var state: State
    public var target: String
    public var volume: String
    /// Bytes; 0 until known.
    public var size: UInt64
    public var owner: String
    public var expiresAt: Int?
    public var problem: Problem?
    public init(
      id: String, state: State, target: String, volume: String, size: UInt64, owner: String, expiresAt: Int? = nil,
      problem: Problem? = nil
    ) {
      (self.id, self.state, self.target, self.volume) = (id, state, target, volume)
      (self.size, self.owner, self.expiresAt, self.problem) = (size, owner, expiresAt, problem)
    }
  }
}
