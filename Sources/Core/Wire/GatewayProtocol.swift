/// What an agent and a gateway say to each other beside the frames (binary, see api/wire.md). Every request carries the
/// session's grant as `Authorization: DPoP GRANT` and a `KeyProof` by the agent's key.

/// The claims of a session's grant, a JWT (EdDSA) signed by the migration service: all a gateway needs to know.
public struct SessionGrant: Codable, Hashable, Sendable {
  public struct Disk: Codable, Hashable, Sendable {
    /// Names the replica; the leaf map is kept under it.
    public var volume: String
    /// Where `Storage.attachVolume` said it is.
    public var location: String
    /// Bytes.
    public var size: UInt64
    public init(volume: String, location: String, size: UInt64) {
      (self.volume, self.location, self.size) = (volume, location, size)
    }
  }
  /// `cnf.jkt` of RFC 9449: the thumbprint of the agent's key.
  public struct Confirmation: Codable, Hashable, Sendable {
    public var jkt: String
    public init(jkt: String) { self.jkt = jkt }
  }

  public var tenant: String
  public var migration: String
  public var session: String
  /// Grows with each session of the migration: the gateway opens none that is older than the one it opened last.
  public var ordinal: UInt64
  public var disks: [Disk]
  public var cnf: Confirmation
  /// Seconds since 1970.
  public var exp: Int
  /// What the seal shall read back even where an earlier one did.
  public var scrub: ScrubWindow?
  /// An earlier session has written to these volumes: a gateway that knows nothing of them reads them before it opens
  /// this one, so that not everything is sent again.
  public var written: Bool?
  public init(
    tenant: String, migration: String, session: String, ordinal: UInt64, disks: [Disk], cnf: Confirmation, exp: Int,
    scrub: ScrubWindow? = nil, written: Bool? = nil
  ) {
    (self.tenant, self.migration, self.session, self.ordinal) = (tenant, migration, session, ordinal)
    (self.disks, self.cnf, self.exp, self.scrub, self.written) = (disks, cnf, exp, scrub, written)
  }
}

/// `POST /v1/sessions/{session}/open`
public struct OpenAnswer: Codable, Hashable, Sendable {
  public var epoch: UInt64
  /// The last sealed chain of the migration, 64 hex digits; empty before the first seal.
  public var previous: String
  /// Parts of this session's manifest that are durable, and the chain over them.
  public var parts: UInt64
  public var chain: String
  /// Set where the session was sealed already: the seal again.
  public var receipt: SealReceipt?
  public init(epoch: UInt64, previous: String, parts: UInt64, chain: String, receipt: SealReceipt? = nil) {
    (self.epoch, self.previous, self.parts, self.chain, self.receipt) = (epoch, previous, parts, chain, receipt)
  }
}

/// `POST /v1/sessions/{session}/flush` takes the leaf records of the frames it settles as a body (api/wire.md) and
/// answers with this.
public struct FlushAnswer: Codable, Hashable, Sendable {
  public var epoch: UInt64
  /// Every frame up to this one is durable.
  public var through: UInt64
  /// SHA-256 over the manifest so far, as 64 hex digits.
  public var chain: String
  public init(epoch: UInt64, through: UInt64, chain: String) {
    (self.epoch, self.through, self.chain) = (epoch, through, chain)
  }
}

/// `POST /v1/sessions/{session}/seal`: 202 while reading back, else this.
public struct SealRequest: Codable, Hashable, Sendable {
  public var epoch: UInt64
  /// The manifest's chain as the agent computed it, and the agent's Ed25519 signature over it (base64url).
  public var chain: String
  public var signature: String
  /// `application`, `filesystem` or `crash` for each device that nothing else is made of, by its kernel name. `crash`
  /// comes with the reason: `crash: swap`, `crash: vfat cannot be frozen`.
  public var consistency: [String: String]
  public init(epoch: UInt64, chain: String, signature: String, consistency: [String: String]) {
    (self.epoch, self.chain, self.signature, self.consistency) = (epoch, chain, signature, consistency)
  }
}

public struct SealAnswer: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable { case reading, sealed, mismatched }
  public var state: State
  /// Leaves read back so far and in all.
  public var readBack: UInt64
  public var total: UInt64
  public var receipt: SealReceipt?
  /// Leaves whose bytes are not what the manifest says: to be sent again. Pairs of disk and leaf, at most 4,096.
  public var mismatches: [[UInt64]]
  public init(state: State, readBack: UInt64, total: UInt64, receipt: SealReceipt? = nil, mismatches: [[UInt64]] = []) {
    (self.state, self.readBack, self.total) = (state, readBack, total)
    (self.receipt, self.mismatches) = (receipt, mismatches)
  }
}

/// `POST /v1/sessions/{session}/conclude?retire=0|1`: what has become of a session, said to the migration service alone:
/// its grant is bound to the key that signed it.
public struct ConcludeAnswer: Codable, Hashable, Sendable {
  public enum State: String, Codable, Hashable, Sendable {
    /// Its seal took place; the receipt is here.
    case sealed
    /// It is not sealed and can never be: with `retire` from now on, else since a later session was opened.
    case retired
    /// A seal is under way, or (without `retire`) may still come: ask again.
    case undecided
  }
  public var state: State
  public var receipt: SealReceipt?
  /// The ordinal of the session that opened last on these volumes. One that is higher than any the service knows was
  /// opened by a service whose records were better: they were put back to an earlier state.
  public var last: UInt64?
  public init(state: State, receipt: SealReceipt? = nil, last: UInt64? = nil) {
    (self.state, self.receipt, self.last) = (state, receipt, last)
  }
}

/// What a gateway vouches for, signed by its key. The control path records it with the point.
public struct SealReceipt: Codable, Hashable, Sendable {
  public struct Disk: Codable, Hashable, Sendable {
    public var volume: String
    /// The disk's `LeafRoot`, 64 hex digits.
    public var root: String
    public var dataLeaves: UInt64
    public var zeroLeaves: UInt64
    public var freeLeaves: UInt64
    public init(volume: String, root: String, dataLeaves: UInt64, zeroLeaves: UInt64, freeLeaves: UInt64) {
      (self.volume, self.root) = (volume, root)
      (self.dataLeaves, self.zeroLeaves, self.freeLeaves) = (dataLeaves, zeroLeaves, freeLeaves)
    }
  }
  public var session: String
  public var migration: String
  /// The agent's chain and signature, as given.
  public var chain: String
  public var agentSignature: String
  public var consistency: [String: String]
  public var disks: [Disk]
  /// Seconds since 1970, by the gateway's clock.
  public var sealedAt: Int
  /// Leaves and seconds of the read-back.
  public var readBackLeaves: UInt64
  public var readBackSeconds: Double
  /// Ed25519 by the gateway's key over the canonical JSON of everything above (sorted keys), base64url; and that key.
  public var gatewayKey: String
  public var gatewaySignature: String
  public init(
    session: String, migration: String, chain: String, agentSignature: String, consistency: [String: String],
    disks: [Disk], sealedAt: Int, readBackLeaves: UInt64, readBackSeconds: Double, gatewayKey: String,
    gatewaySignature: String
  ) {
    (self.session, self.migration, self.chain) = (session, migration, chain)
    (self.agentSignature, self.consistency, self.disks) = (agentSignature, consistency, disks)
    (self.sealedAt, self.readBackLeaves, self.readBackSeconds) = (sealedAt, readBackLeaves, readBackSeconds)
    (self.gatewayKey, self.gatewaySignature) = (gatewayKey, gatewaySignature)
  }
}

/// Every error of every server of ours: RFC 9457, `application/problem+json`.
public struct Problem: Codable, Hashable, Sendable, Error {
  /// A stable word: `epoch_closed`, `stale_sequence`, `out_of_range`, `target_full`, `token_used`, ...
  public var code: String
  public var status: Int
  /// What failed, on what, why.
  public var detail: String
  /// What to do.
  public var remedy: String
  /// Seconds after which it may be tried again, where that is known.
  public var retryAfter: Int?
  public init(code: String, status: Int, detail: String, remedy: String, retryAfter: Int? = nil) {
    (self.code, self.status, self.detail, self.remedy) = (code, status, detail, remedy)
    self.retryAfter = retryAfter
  }
}
