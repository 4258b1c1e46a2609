extension ReplicaMachine {
  /// Names one request that waits for an answer; chosen by the gateway, unique in its life.
  public typealias Request = UInt64

  /// What is kept on stable storage beside the leaf map, changed by `storeOpening`, `storePart`, `storeSeal`.
  public struct Stored: Hashable, Sendable {
    /// The session that opened last; nil before the first, and where it was retired.
    public var session: String?
    /// Its place in the order of the replica's sessions: one with a lower ordinal can never open again.
    public var ordinal: UInt64
    public var epoch: Epoch
    /// Parts of its manifest that are stored.
    public var parts: UInt64
    /// Whether it is sealed.
    public var sealed: Bool
    public init(
      session: String? = nil, ordinal: UInt64 = 0, epoch: Epoch = Epoch(rawValue: 0), parts: UInt64 = 0,
      sealed: Bool = false
    ) {
      (self.session, self.ordinal, self.epoch) = (session, ordinal, epoch)
      (self.parts, self.sealed) = (parts, sealed)
    }
  }

  /// One leaf that a frame writes.
  public struct Touch: Hashable, Sendable {
    public var address: LeafAddress
    /// Whether the frame's extents cover all of the leaf.
    public var whole: Bool
    public init(address: LeafAddress, whole: Bool) { (self.address, self.whole) = (address, whole) }
  }

  /// What happened. Requests may arrive in any order, twice, or late. Each `Action` that says so is answered once.
  public enum Event: Hashable, Sendable {
    /// `POST open`. `ordinal` is the session's own, from its grant: of two sessions the later one has the higher.
    case open(Request, session: String, ordinal: UInt64, fresh: Bool)
    /// `POST conclude` with `retire`, by the control plane: the session is sealed already, or it is retired.
    case conclude(Request, session: String, ordinal: UInt64)
    /// `PUT frames`; decoded and within the disks. `touches` are all leaves its extents touch, each once
    /// (`ReplicaMachine.touches(of:)`).
    case frame(Request, session: String, epoch: Epoch, sequence: Sequence, touches: [Touch])
    /// `POST flush` with its part of the manifest, decoded and within the disks.
    case flush(Request, session: String, epoch: Epoch, through: Sequence, part: UInt64, records: [LeafRecord])
    /// `POST seal`. The gateway has checked the agent's signature, and that the chain is the one over the first `parts`
    /// parts of the manifest: a late seal, asked for before more was sent, is refused by that.
    case seal(Request, session: String, epoch: Epoch, parts: UInt64)

    /// Answers `storeOpening`.
    case openingStored(Request)
    /// Answers `markUnknown`.
    case unknownMarked(Request)
    /// Answers `write`: every extent of the frame is written (not flushed).
    case written(Request)
    /// Answers `write`: some of it failed; the leaves stay unknown.
    case writeFailed(Request, Refusal)
    /// Answers `flushVolumes`.
    case volumesFlushed(Request)
    /// Answers `storePart`.
    case partStored(Request)
    /// Answers `readBack`: the leaves whose verdict was `mismatch`, at most 4,096 of them.
    case readBackDone(Request, mismatches: [LeafAddress])
    /// Answers `storeSeal`.
    case sealStored(Request)
    /// Answers any of the above but `write`: it failed for this reason. The epoch is closed (except after `readBack`).
    /// What was to be stored is not; where that cannot be told, make a new machine from what is stored instead, as after
    /// a restart.
    case failed(Request, reason: String)
  }

  /// What the gateway shall do for a request. Actions run side by side and answer later, once each.
  public enum Action: Hashable, Sendable {
    /// Durably store `Stored`. `dropManifest`: in the same step forget the parts and last records of the manifest so far
    /// (a new session, or one that begins afresh); else forget what lies beyond `parts`. The leaf map stays.
    /// Answer: `openingStored` or `failed`.
    case storeOpening(Request, Stored, dropManifest: Bool)
    /// Durably turn these leaves to `unknown` in the leaf map (several calls may share one sync to the disk).
    /// Answer: `unknownMarked` or `failed`.
    case markUnknown(Request, [LeafAddress])
    /// Write the extents of that frame to the volumes. Answer: `written` or `writeFailed`.
    case write(Request)
    /// Flush every volume of the replica. Answer: `volumesFlushed` or `failed`.
    case flushVolumes(Request)
    /// Durably, in this order or in one step: append part `number` (records as received, chain), remember each leaf's
    /// last record and set `parts` to `number + 1`; then put `claims` into the leaf map (kind and digest, not sealed; a
    /// run covers `run` leaves). Answer: `partStored` or `failed`.
    case storePart(Request, number: UInt64, records: [LeafRecord], claims: [LeafRecord])
    /// Read back every leaf for which `LeafState.needsReadBack`, judge every leaf by `LeafState.verdict`.
    /// Nothing is written meanwhile. Answer: `readBackDone` or `failed`.
    case readBack(Request)
    /// Durably, in one step: every leaf becomes sealed as its verdict said, the map is versioned for the session, the
    /// receipt is signed and stored, `sealed` is set. Answer: `sealStored` or `failed`.
    case storeSeal(Request)
    /// Answer that request. Every request is answered once.
    case reply(Request, Reply)
  }

  public enum Reply: Hashable, Sendable {
    /// `OpenAnswer`.
    case opened(epoch: Epoch, parts: UInt64)
    /// `OpenAnswer` with the receipt: the session is sealed.
    case alreadySealed(epoch: Epoch, parts: UInt64)
    /// 204: written, not yet durable.
    case acknowledged
    /// `FlushAnswer`: durable.
    case flushed(through: Sequence)
    /// `SealAnswer` or `ConcludeAnswer` with the receipt.
    case sealed
    /// `ConcludeAnswer`: the session can never open again. Whether it was sealed before a later one opened, only its
    /// receipt can tell.
    case retired
    /// `SealAnswer`: these leaves hold something else.
    case mismatched([LeafAddress])
    case refused(Refusal)
  }

  /// Why a request is refused.
  public enum Refusal: Hashable, Sendable {
    /// `409 epoch_closed`: open again.
    case epochClosed
    /// `409 stale_sequence`: a later frame was there, or the frame is at or below the last `through`.
    case stale
    /// `409 sealed`, or a seal is under way.
    case sealed
    /// `409 superseded`: a later session of these volumes was opened, or this one was retired. It can never open again.
    case superseded
    /// `400`: parts of the manifest or `through` do not follow on what is stored, or frames are not flushed before a seal.
    case outOfOrder
    /// `507 target_full`.
    case full
    /// `500`: a volume or the store failed, for this reason.
    case failed(String)
  }
}
