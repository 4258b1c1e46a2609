extension SyncMachine {
  /// What a sync does with the disks in use.
  public enum Mode: String, Hashable, Sendable {
    /// Everything in use is read; what the gateway does not claim yet is sent.
    case full
    /// What the tracker saw change since the last settled state; becomes `compare` where that cannot be proven.
    case delta
    /// The same walk as `full`, after a point: differences are sent.
    case compare
  }

  /// A frame to be carried to the gateway. Its sequence is given, so everything read from now on is new enough.
  public struct Frame: Hashable, Sendable {
    public enum Origin: Hashable, Sendable {
      /// Read the bytes from the disk, now.
      case disk
      /// Take the bytes from the memory that `capture` filled. Never read the disk for them: it has moved on.
      case memory
    }
    public var epoch: Epoch
    public var sequence: Sequence
    public var origin: Origin
    /// What is to be sent: all of one disk, ascending, not overlapping, each inside one leaf.
    public var extents: [Extent]
    /// The leaves the extents touch, ascending. At most `Settings.frameLeaves`.
    public var leaves: [UInt64]
    /// Those of `leaves` that need not be sent where the gateway's claim (`GET leaves`) has the same kind and digest.
    /// Empty unless origin is `.disk`. Their extents cover the whole leaf.
    public var comparable: [UInt64]
    public var disk: UInt16 { extents.first?.disk ?? 0 }
    /// Bytes that are sent if nothing is found equal.
    public var byteCount: UInt64 { extents.reduce(0) { $0 + UInt64($1.range.count) } }
  }

  /// What a flush settles.
  public struct Flush: Hashable, Sendable {
    public var epoch: Epoch
    /// Every frame up to this one is acknowledged or abandoned.
    public var through: Sequence
    /// Number of this part of the manifest.
    public var part: UInt64
    /// The records of the acknowledged frames it settles, in sequence order: the part itself.
    public var records: [LeafRecord]
  }

  /// What the driver knows before a sync starts, or starts over.
  public struct Prepared: Hashable, Sendable {
    /// Why the tracker cannot prove that it saw every write since the last settled state, or why that state is not the
    /// one of this replica (`OpenAnswer.previous` is not the chain it follows on); nil where neither is so.
    public var voided: String?
    /// The pending marks that survived from an earlier life, in bytes (any length); empty where `voided` is set.
    public var pending: [Extent]
    /// For each disk the byte ranges in use, ascending: filesystems' allocated space and everything outside of them.
    /// Read after the tracker was started. A driver that cannot tell gives the whole disk.
    public var used: [[Range<UInt64>]]
    public init(voided: String?, pending: [Extent], used: [[Range<UInt64>]]) {
      (self.voided, self.pending, self.used) = (voided, pending, used)
    }
  }

  /// The gateway's answer to an opening.
  public struct Opened: Hashable, Sendable {
    public var epoch: Epoch
    /// Parts of this session's manifest that the gateway holds.
    public var parts: UInt64
    /// For each disk the leaves whose whole content the gateway knows (`GET held`, asked for after the opening).
    public var held: [Bitmap]
    public init(epoch: Epoch, parts: UInt64, held: [Bitmap]) {
      (self.epoch, self.parts, self.held) = (epoch, parts, held)
    }
  }

  /// What happened. Feed every event that an action asks for exactly once; events about frames, flushes and seals that
  /// the machine gave up meanwhile are ignored, so a late answer may always be fed.
  public enum Event: Hashable, Sendable {
    /// First of all.
    case start
    /// Answers `prepare`.
    case prepared(Prepared)
    /// Answers `open`.
    case opened(Opened)
    /// Answers `open` where the gateway says that this session is sealed already (`OpenAnswer.receipt`). For a final sync
    /// it may come by itself: the control plane had it from the gateway.
    case alreadySealed
    /// Answers `open`, or comes by itself from the control plane: the gateway has said that this session is not sealed
    /// and can never be. The only event that thaws after the seal of a final sync was requested.
    case retired(reason: String)
    /// Answers `take`: the blocks that were moved from the live map to the pending map, in bytes (any length).
    case taken([Extent])
    /// Answers `take` instead of `taken`: the tracker cannot prove that it saw every write.
    case trackingLost(reason: String)
    /// A frame is acknowledged (204), or everything in it was found equal and nothing needed sending. One record for
    /// each leaf of the frame, in order; `equal` is set on those that were not sent. For `.memory`
    /// give none: the machine knows them from the capture.
    case carried(Sequence, [LeafRecord])
    /// The outcome of a frame is not known, or it was refused as stale. It is sent again under a new sequence at once:
    /// a driver waits out its back-off before it feeds this.
    case lost(Sequence)
    /// A request that named this epoch was answered with `epoch_closed`, or the driver wants to open anew.
    case epochClosed(Epoch)
    /// The flush of this part in this epoch was answered: all it settles is durable.
    case flushed(Epoch, part: UInt64)
    /// Answers `freeze`: every filesystem that can be is frozen and the tracker has seen every write before that.
    case frozen
    /// Answers `freeze`: it could not be done and everything is thawed again.
    case freezeFailed(reason: String)
    /// Answers `capture`: the extents' bytes are in memory and these are the records of the whole leaves.
    case captured([LeafRecord])
    /// Answers `capture`: it could not be done in time.
    case captureFailed(reason: String)
    /// Answers `thaw`, or comes by itself when the watchdog thawed. `inTime` is false where the watchdog had thawed
    /// before the machine asked for it: what was read meanwhile is not of the instant.
    case thawed(inTime: Bool)
    /// The time for being frozen is up. Before the seal of a final sync is requested: thaws and ends. Otherwise of no
    /// effect, except that an instant that is not captured yet is given up.
    case deadline
    /// Answers `seal`: the receipt is here.
    case sealed
    /// Answers `seal`: these leaves hold something else than the manifest says. Leaves that the disks do not have are
    /// no leaves; where nothing else is named the gateway is asked again.
    case mismatched([LeafAddress])
    /// Stop: by command, or because going on is impossible (a disk cannot be read, the target is full). Thaws first.
    /// Without effect once the seal of a final sync was requested: then only the gateway knows whether it took place.
    case cancel(reason: String)
  }

  /// What the driver shall do, in the order given: `mark`, `settle` and `release` are done before anything after them
  /// is begun; the others may run side by side and answer later.
  public enum Action: Hashable, Sendable {
    /// Make sure the tracker runs, then read which ranges are in use. `restart`: begin tracking anew; what survives of
    /// it proves nothing to a later life until a `mark` establishes it. Answer: `prepared`; after a restart with
    /// `voided` only where the disks cannot be tracked at all.
    case prepare(restart: Bool)
    /// Set pending marks for these bytes (any length): they must be sent before anyone may rely on the replica.
    /// `establishes`: with these marks the two maps together name everything that is not settled, so that a later life
    /// may call the tracking proven. No answer.
    case mark([Extent], establishes: Bool)
    /// `POST open` (`fresh`: as the parameter), then `GET held` for every disk. Retried by the driver, with back-off,
    /// until there is an answer: `opened`, `alreadySealed` or `retired`. The driver keeps the manifest's chain: it adds a part when
    /// it feeds `flushed`, or when the answer's `parts` says that the last part it sent was stored; with `fresh` the
    /// chain starts anew.
    case open(fresh: Bool)
    /// Move dirty blocks from the live to the pending map (marked there before they are cleared here);
    /// `syncFirst`: call `syncfs` before, as the next step may be the freeze. Answer: `taken` or `trackingLost`.
    case take(syncFirst: Bool)
    /// Read and hash the *whole* of every leaf the frame touches (`.memory`: use what was captured), drop the extents
    /// of comparable leaves that the gateway claims the same, send the rest. The request may be repeated with the very
    /// same bytes. Answer: `carried` or `lost`.
    case carry(Frame)
    /// `POST flush`, retried by the driver with the very same part until answered. Answer: `flushed` or `epochClosed`.
    case flush(Flush)
    /// Clear pending marks. Everything in these bytes is durable at the gateway. No answer.
    case settle([Extent])
    /// Pre hooks, `syncfs`, watchdog, freeze in reverse mount order, counters equal. `hold`: the freeze of a final
    /// sync, which lasts; arm the deadline. Answer: `frozen` or `freezeFailed`.
    case freeze(hold: Bool)
    /// While frozen: read the whole leaves that these extents touch, hash them, keep the extents' bytes in locked
    /// memory until `release`. Answer: `captured` or `captureFailed`.
    case capture([Extent])
    /// Thaw, post hooks. Answer: `thawed`.
    case thaw
    /// Free the captured memory; frames from it that are still carried are abandoned. No answer.
    case release
    /// `POST seal` with the chain over all parts so far, asked until it is settled. `final`: before the first request,
    /// disarm the watchdog and note where it survives (not on a frozen filesystem) that the seal is requested; where
    /// the watchdog has thawed already, do not send, but answer `thawed(inTime: false)`.
    /// Answer: `sealed`, `mismatched` or `epochClosed`.
    case seal(epoch: Epoch, final: Bool)
    /// A final sync is sealed: power the machine off without thawing.
    case powerOff
    /// The sync has ended; nothing is expected any more. Requests still running may be given up.
    case finish(Outcome)
  }

  public enum Outcome: Hashable, Sendable {
    /// The point is sealed.
    case sealed
    /// Given up for this reason; everything settled stays settled.
    case ended(reason: String)
    /// Given up because the source writes faster than it is sent; everything settled stays settled.
    case notConverging
    /// Given up because the target read back something else than was written, time after time; this many leaves in the
    /// last. Everything settled stays settled but those, which are marked.
    case targetUnreliable(leaves: Int)
  }
}
