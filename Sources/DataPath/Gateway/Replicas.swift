import FoundationEssentials
import Glibc
import Logging
import NIOPosix
import Synchronization
import Wire

/// All replicas of this gateway, loaded when a session opens. No volume is ever in two of them.
final class Replicas: Sendable {
  /// One replica: the volumes of a tenant in the order of the grants.
  struct Key: Hashable, Sendable {
    var tenant: String
    var volumes: [String]
    init(_ grant: SessionGrant) { (tenant, volumes) = (grant.tenant, grant.disks.map(\.volume)) }
  }

  /// The place of one replica, so that loading one never waits for another.
  private final class Slot: Sendable {
    let disks: [SessionGrant.Disk]
    let replica = Mutex<Replica?>(nil)
    init(disks: [SessionGrant.Disk]) { self.disks = disks }
  }

  /// What signs receipts.
  let key: AgentKey
  let volumes: DurableFolder
  let records: DurableFolder
  private let migrations: DurableFolder
  private let lock: DurableFile
  private let slots = Mutex<[Key: Slot]>([:])
  private let pool: NIOThreadPool
  private let threads: Int
  let openVolume: VolumeOpener
  private let logger: Logger
  let readings = PointReadings()
  let now: @Sendable () -> Int

  /// - Throws: `StoreError` where the folder cannot be used, or another gateway uses it.
  init(
    folder path: String, openVolume: @escaping VolumeOpener, pool: NIOThreadPool, threads: Int, logger: Logger,
    now: @escaping @Sendable () -> Int
  ) throws {
    let folder = try DurableFolder(creating: path)
    lock = try DurableFile(folder.file("lock"), flags: O_RDWR | O_CREAT)
    guard lock.lockExclusively() else {
      throw StoreError("flock", folder.file("lock"), reason: "another gateway uses this folder; give it one of its own")
    }
    if let secret = try folder.read("key") {
      key = try AgentKey(rawRepresentation: secret)
    } else {
      key = AgentKey()
      try folder.replace("key", with: key.rawRepresentation)
    }
    (volumes, records) = (try folder.folder("volumes"), try folder.folder("replicas"))
    migrations = try folder.folder("migrations")
    (self.openVolume, self.pool, self.threads, self.logger, self.now) = (openVolume, pool, threads, logger, now)
  }

  /// The replica of a session that was opened in this life of the gateway. One that broke is opened anew: the agent
  /// that is told `epoch_closed` opens again, and that loads it with fresh handles.
  func opened(_ grant: SessionGrant) throws(Problem) -> Replica {
    let slot = slots.withLock { $0[Key(grant)] }
    guard let slot, slot.disks == grant.disks, let replica = slot.replica.withLock({ $0 }), !replica.isBroken else {
      throw .epochClosed
    }
    return replica
  }

  /// The replica of a grant, loaded from disk where it is not in memory or is broken. Blocks.
  ///
  /// - Throws: `Problem` where another session is at work on one of the volumes, or one cannot be opened.
  func load(_ grant: SessionGrant) throws -> Replica {
    let slot = try claim(grant)
    return try slot.replica.withLock { replica in
      if let replica, !replica.isBroken { return replica }
      guard replica?.retire() ?? true else { throw Problem.busy("writes of an earlier opening are ending") }
      // The old handles go before new ones are opened.
      replica = nil
      let loaded = try makeReplica(grant)
      replica = loaded
      return loaded
    }
  }

  /// Takes the volumes of a grant away from every other replica, which must all be idle.
  private func claim(_ grant: SessionGrant) throws(Problem) -> Slot {
    let key = Key(grant)
    return try slots.withLock { slots throws(Problem) in
      if let slot = slots[key], slot.disks == grant.disks { return slot }
      for (other, slot) in slots where slot.disks.contains(where: { Self.collides($0, grant) }) {
        guard let replica = slot.replica.withLockIfAvailable({ $0 }) else { throw .volumeInUse("\(other.volumes)") }
        // The same volume for two tenants is a fault of who issues grants, and is never served.
        guard other.tenant == key.tenant else { throw .grantRefused("a volume belongs to another tenant") }
        guard replica?.retire() ?? true else { throw .volumeInUse("\(other.volumes)") }
        slots[other] = nil
      }
      let slot = Slot(disks: grant.disks)
      slots[key] = slot
      return slot
    }
  }

  private static func collides(_ disk: SessionGrant.Disk, _ grant: SessionGrant) -> Bool {
    grant.disks.contains { $0.volume == disk.volume || $0.location == disk.location }
  }

  private func makeReplica(_ grant: SessionGrant) throws -> Replica {
    let disks = try grant.disks.map { disk in
      let folder = try volumes.folder(ReplicaStore.name(grant.tenant, disk.volume))
      return try ReplicaDisk(disk, folder: folder, open: openVolume)
    }
    let store = try ReplicaStore(
      folder: records.folder(Self.record(of: grant)), migrations: migrations, tenant: grant.tenant,
      migration: grant.migration)
    return Replica(
      disks: disks, store: store, key: key, pool: pool, threads: threads, logger: logger, now: now)
  }

  /// The folder of a replica's record.
  static func record(of grant: SessionGrant) -> String {
    ReplicaStore.name(grant.tenant, grant.disks.map(\.volume).joined(separator: "\n"))
  }

  /// Makes every volume durable, at the end.
  func close() {
    for slot in slots.withLock({ Array($0.values) }) { slot.replica.withLock { $0 }?.close() }
    lock.unlock()
  }
}
