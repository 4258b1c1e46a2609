internal import Replication

/// What stands still during an instant and what may still be written, once it is known what could be frozen.
///
/// A frozen filesystem writes nothing, a swap area holds nothing that outlives the machine, and an array notes its own
/// state when it likes. A write anywhere else between the instant's take and its end tears the point.
struct Stillness: Sendable {
  /// The level of every device on the disks, with the reason where nothing could be frozen: `crash: swap`.
  let levels: [String: String]
  /// Whether anything was frozen.
  let hasFrozen: Bool
  /// The devices that may be written during the instant.
  let loose: [String]

  private let disks: [String]
  private let regions: [DeviceUse.Region]
  private let titles: [String: String]
  /// For each disk, where writes do not matter: ascending, neighbours joined.
  private let exempt: [[Range<UInt64>]]
  /// Sectors written to each of `loose` when the instant began.
  private let before: [String: UInt64]

  /// - Parameters:
  ///   - frozen: devices of the frozen filesystems.
  ///   - level: theirs.
  init(
    _ use: DeviceUse, frozen: Set<String>, level: ConsistencyLevel,
    sectorsWritten: (String) -> UInt64? = DeviceGraph(root: "").sectorsWritten
  ) {
    var levels: [String: String] = [:]
    var loose: [String] = []
    for part in use.parts {
      switch part.use {
      case .filesystem(let filesystem) where frozen.contains(filesystem.device):
        levels[part.device] = level.rawValue
      case .swap: levels[part.device] = ConsistencyLevel.crash.rawValue + ": swap"
      case .filesystem(let filesystem):
        levels[part.device] = ConsistencyLevel.crash.rawValue + ": \(filesystem.type) cannot be frozen"
        loose.append(part.device)
      case .none:
        levels[part.device] = ConsistencyLevel.crash.rawValue + ": nothing is mounted from it"
        loose.append(part.device)
      }
    }
    (self.levels, self.loose, hasFrozen) = (levels, loose, !frozen.isEmpty)
    (disks, regions) = (use.disks, use.regions)
    titles = Dictionary(loose.map { ($0, use.title($0)) }, uniquingKeysWith: { first, _ in first })
    before = Dictionary(
      loose.compactMap { name in sectorsWritten(name).map { (name, $0) } }, uniquingKeysWith: { first, _ in first })
    let looseOnes = Set(loose)
    exempt = use.disks.indices.map { disk in
      let ranges = use.regions.filter { $0.disk == disk }.flatMap { region in
        region.parts.contains { looseOnes.contains($0.device) } ? region.notes : [region.range]
      }
      return UsedExtents.join(ranges)
    }
  }

  /// Those of `written` that tear the instant.
  func tearing(_ written: [Extent]) -> [Extent] {
    written.filter { extent in
      !exempt[Int(extent.disk)].contains {
        $0.lowerBound <= extent.range.lowerBound && extent.range.upperBound <= $0.upperBound
      }
    }
  }

  /// Names what was written, for a person; the counters of the kernel tell a volume from its neighbours.
  func culprits(_ tearing: [Extent], sectorsWritten: (String) -> UInt64? = DeviceGraph(root: "").sectorsWritten)
    -> String
  {
    let moved = loose.filter { name in before[name] != nil && sectorsWritten(name) != before[name] }
    let named = moved.isEmpty ? Self.unique(tearing.map(place)) : moved.map { titles[$0] ?? $0 }
    return named.prefix(4).joined(separator: ", ")
  }

  private func place(_ extent: Extent) -> String {
    let region = regions.first { $0.disk == Int(extent.disk) && $0.range.overlaps(extent.range) }
    let names = region?.parts.map(\.device).filter { loose.contains($0) }.map { titles[$0] ?? $0 } ?? []
    let disk = disks[Int(extent.disk)]
    return names.isEmpty ? "\(disk) outside of its partitions" : names.joined(separator: " or ")
  }

  private static func unique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
