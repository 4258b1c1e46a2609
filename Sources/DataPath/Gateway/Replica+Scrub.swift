import Replication
import Wire

extension Replica {
  /// The leaves of this window are read back by the next seal whatever was read before. Blocks.
  ///
  /// Losing this in a crash costs nothing but the reading: it is asked for with each opening.
  func unseal(_ window: ScrubWindow) throws {
    for disk in disks {
      let bytes = min(window.from, disk.grant.size)..<min(max(window.from, window.to), disk.grant.size)
      let leaves = Leaf.touched(by: bytes)
      try disk.map.unseal(Int(leaves.lowerBound)..<Int(leaves.upperBound))
    }
  }
}
