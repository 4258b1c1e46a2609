import Replication
import Wire

/// What is said of points: of sessions that were sealed here, whatever has happened since. Calls block.
extension Replicas {
  /// The manifests that together speak of every leaf at the seal of the grant's session, encoded.
  func manifests(_ grant: SessionGrant) throws -> [UInt8] {
    let name = Self.record(of: grant)
    guard records.exists(name) else { throw Problem.noSuchSeal(grant.session) }
    let counts = grant.disks.map { Int(Leaf.count(bytes: $0.size)) }
    return try ManifestArchive(folder: records.folder(name)).history(of: grant.session, counts: counts).encode()
  }

  /// The reading of the grant's point under this name; a new one is to be run.
  func reading(_ grant: SessionGrant, run: String) throws -> (reading: PointReading, isNew: Bool) {
    try readings.reading(ReplicaStore.name(grant.tenant, grant.session, run)) {
      let maps = try grant.disks.map { disk in
        let name = ReplicaStore.name(grant.tenant, disk.volume)
        guard volumes.exists(name) else { throw Problem.noSuchSeal(grant.session) }
        return try volumes.folder(name)
      }
      return PointReading(grant: grant, maps: maps, openVolume: openVolume, key: key, now: now)
    }
  }
}
