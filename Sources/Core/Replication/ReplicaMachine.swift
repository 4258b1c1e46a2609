/// The gateway's end: one replica, that is the volumes of a session's disks in the grant's order. It outlives sessions;
/// a later session of the same volumes supersedes the one before, never the other way round. A gateway never runs two machines over one volume.
///
/// A pure value behind the gateway's lock: `handle` takes what happened and says what to do; the gateway does it outside
/// of the lock and feeds the outcome back. What each means is said in `ReplicaMachine.Event` and `ReplicaMachine.Action`.
///
/// What it upholds:
/// - Only the open epoch is served, and a restarted gateway has none open.
/// - Frames that share a leaf never run side by side; a lower sequence never follows a higher one.
/// - A leaf is durably unknown before its bytes change, and claimed only when one settled frame wrote all of it.
/// - A session that was retired, or older than one that was opened, is never opened, written or sealed again.
/// - Nothing is written while a part is stored, while leaves are read back, and after a seal.
public struct ReplicaMachine: Sendable {
  /// - Parameters:
  ///   - stored: what stable storage holds, as at the start of the gateway.
  ///   - held: for each disk the leaves that the leaf map says are `data` or `zero`.
  ///   - unknown: for each disk the leaves that it says are `unknown`.
  public init(stored: Stored, held: [Bitmap], unknown: [Bitmap]) {
    (self.stored, self.held, self.unknown) = (stored, held, unknown)
  }

  /// What is on stable storage.
  public internal(set) var stored: Stored
  /// For each disk the leaves whose whole content is known: the answer to `GET held`.
  public internal(set) var held: [Bitmap]
  /// For each disk the leaves that are surely unknown on stable storage, so that they can be written at once.
  var unknown: [Bitmap]

  /// Whether the stored epoch was opened in this life and nothing has closed it since.
  var epochIsOpen = false
  /// The highest epoch this life has tried to store.
  var lastEpoch = Epoch(rawValue: 0)
  /// Everything up to here is settled or abandoned: never written any more.
  var through = Sequence(rawValue: 0)
  /// What has touched leaves since they were settled last.
  var touched: [LeafAddress: Touched] = [:]
  /// Frames that wait for their leaves or for a job, as they came; and those that are being written.
  var waiting: [Frame] = []
  var running: [Request: Running] = [:]
  var locked: Set<LeafAddress> = []
  /// Opening, flush, seal and conclusion: one at a time, as they came. The first of them is under way when `step` is set.
  var jobs: [Job] = []
  var step: Step?
  /// Said by the call of `handle` that is under way.
  var actions: [Action] = []

  struct Frame: Hashable, Sendable {
    var request: Request
    var session: String
    var epoch: Epoch
    var sequence: Sequence
    var touches: [Touch]
  }

  struct Running: Hashable, Sendable {
    var frame: Frame
    var toMark: [LeafAddress]
  }

  /// What frames did to a leaf since it was settled last.
  struct Touched: Hashable, Sendable {
    var sequence: Sequence
    /// The only frame that touched it wrote all of it.
    var whole: Bool
    /// That frame is still writing.
    var running: Bool
  }

  struct Job: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
      case open(ordinal: UInt64, fresh: Bool)
      case flush(epoch: Epoch, through: Sequence, part: UInt64, records: [LeafRecord])
      case seal(epoch: Epoch, parts: UInt64)
      case conclude(ordinal: UInt64)
    }
    var request: Request
    var session: String
    var kind: Kind
    /// Whether frames may run beside it.
    var isExclusive: Bool { if case .flush = kind { false } else { true } }
  }

  enum Step: Hashable, Sendable {
    /// No frame is admitted; waits for those that run.
    case draining
    case storingOpening(Stored)
    case flushing(claims: [LeafRecord])
    case storingPart(claims: [LeafRecord])
    case readingBack
    case markingMismatches([LeafAddress])
    case storingSeal(becoming: [Bitmap])
  }

  /// Takes what happened, says what to do next.
  public mutating func handle(_ event: Event) -> [Action] {
    switch event {
    case .open(let request, let session, let ordinal, let fresh):
      jobs.append(Job(request: request, session: session, kind: .open(ordinal: ordinal, fresh: fresh)))
    case .flush(let request, let session, let epoch, let through, let part, let records):
      jobs.append(
        Job(
          request: request, session: session,
          kind: .flush(epoch: epoch, through: through, part: part, records: records)))
    case .seal(let request, let session, let epoch, let parts):
      jobs.append(Job(request: request, session: session, kind: .seal(epoch: epoch, parts: parts)))
    case .conclude(let request, let session, let ordinal):
      jobs.append(Job(request: request, session: session, kind: .conclude(ordinal: ordinal)))
    case .frame(let request, let session, let epoch, let sequence, let touches):
      waiting.append(
        Frame(request: request, session: session, epoch: epoch, sequence: sequence, touches: touches))
    case .unknownMarked(let request):
      unknownMarked(request)
    case .written(let request):
      frameEnded(request, failure: nil)
    case .writeFailed(let request, let refusal):
      frameEnded(request, failure: refusal)
    default:
      jobAnswered(event)
    }
    advance()
    defer { actions = [] }
    return actions
  }

  /// Starts what can be started.
  mutating func advance() {
    repeat {
      startJobs()
      admitFrames()
    } while step == nil && !jobs.isEmpty
  }

  /// The leaves that the extents of one frame touch, and whether they cover each wholly. The extents do not overlap.
  /// - Parameters:
  ///   - sizes: bytes of each disk.
  ///   - leaf: bytes in a leaf.
  public static func touches(of extents: [Extent], sizes: [UInt64], leaf: UInt64 = Leaf.size) -> [Touch] {
    var covered: [LeafAddress: UInt64] = [:]
    for extent in extents where !extent.range.isEmpty {
      for index in extent.range.lowerBound / leaf...(extent.range.upperBound - 1) / leaf {
        let part = extent.range.clamped(to: index * leaf..<(index + 1) * leaf)
        covered[LeafAddress(disk: extent.disk, leaf: index), default: 0] += UInt64(part.count)
      }
    }
    return covered.map { address, bytes in
      let length = min((address.leaf + 1) * leaf, sizes[Int(address.disk)]) - address.leaf * leaf
      return Touch(address: address, whole: bytes == length)
    }
    .sorted { ($0.address.disk, $0.address.leaf) < ($1.address.disk, $1.address.leaf) }
  }
}
