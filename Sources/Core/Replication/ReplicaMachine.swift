/// The gateway's end: one replica, that is the volumes of a session's disks in the grant's order. It outlives sessions;
/// a new session of the same volumes supersedes the one before. A gateway never runs two machines over one volume.
///
/// A pure value behind the gateway's lock: `handle` takes what happened and says what to do; the gateway does it outside
/// of the lock and feeds the outcome back. What each means is said in `ReplicaMachine.Event` and `ReplicaMachine.Action`.
///
/// What it upholds:
/// - Only the open epoch is served, and a restarted gateway has none open.
/// - Frames that share a leaf never run side by side; a lower sequence never follows a higher one.
/// - A leaf is durably unknown before its bytes change, and claimed only when one settled frame wrote all of it.
/// - Nothing is written while a part is stored, while leaves are read back, and after a seal.
public struct ReplicaMachine: Sendable {
  /// - Parameters:
  ///   - stored: what stable storage holds, as at the start of the gateway.
  ///   - known: for each disk the leaves that are not `unknown` and not `free` in the map.
  public init(stored: Stored, known: [Bitmap]) {
    self.stored = stored
    self.known = known
  }

  /// What is on stable storage.
  public internal(set) var stored: Stored
  /// For each disk the leaves whose whole content is known: the answer to `GET held`.
  public internal(set) var known: [Bitmap]

  /// Takes what happened, says what to do next.
  public mutating func handle(_ event: Event) -> [Action] {
    []
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
