import Foundation
import Source
import Synchronization

/// What a run of the torture met. Every word of it goes into the line that the run closes with.
final class TortureTally: Sendable {
  struct Figures {
    /// Frozen points at which every block of the disk was compared, with a tracker's copy and with a real replica.
    var points = 0
    var replicas = 0
    var misses: [String] = []
    var faults: [String] = []
    var voids: [String: Int] = [:]
    /// Syncs that ended without a point, as they may.
    var unsealed: [String: Int] = [:]
    /// Blocks that takes named at the compared points, and those of them that had changed.
    var named = 0
    var changed = 0
    var survived: [String: Int] = [:]
    var adopted = 0
    var losses = (caught: 0, made: 0)
    var flips = (found: 0, made: 0)
    var seeds: UInt64 = 0
  }

  private let figures = Mutex(Figures())

  var now: Figures { figures.withLock { $0 } }
  func add(_ change: (inout sending Figures) -> Void) { figures.withLock { change(&$0) } }

  func miss(_ text: String) {
    print("MISS:", text)
    add { $0.misses.append(text) }
  }

  func fault(_ text: String) {
    print("FAULT:", text)
    add { $0.faults.append(text) }
  }

  func void(_ reason: VoidReason) {
    switch reason {
    case .countersDiffer: void("counters differ")
    case .untrackableWrites: void("untrackable writes")
    case .sizeChanged: void("size changed")
    case .lost: void("disk lost")
    case .eventsMissed: void("events skipped")
    case .stopped: void("stopped")
    }
  }

  /// - Parameter reason: as a sync reports it.
  func void(_ reason: String) {
    let kind =
      reason.contains("the tracker saw")
      ? "counters differ"
      : reason.contains("skipped the tracker")
        ? "events skipped" : reason.replacing(/loop[0-9]+|[0-9]+/, with: "N")
    add { $0.voids[kind, default: 0] += 1 }
  }

  var line: String {
    let now = now
    func list(_ counts: [String: Int]) -> String {
      let total = counts.values.reduce(0, +)
      let words = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      return words.isEmpty ? "0" : "\(total) (\(words.joined(separator: ", ")))"
    }
    let over = now.changed == 0 ? "-" : String(format: "%.2f", Double(now.named) / Double(now.changed))
    return "torture: points \(now.points + now.replicas) (tracker \(now.points), replica \(now.replicas)), "
      + "misses \(now.misses.count), faults \(now.faults.count), voids \(list(now.voids)), "
      + "unsealed \(list(now.unsealed)), over-marking \(over), kills survived \(list(now.survived)), "
      + "trackings adopted \(now.adopted), losses caught \(now.losses.caught)/\(now.losses.made), "
      + "flips found \(now.flips.found)/\(now.flips.made), seeds \(now.seeds)"
  }
}
