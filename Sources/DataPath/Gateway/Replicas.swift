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

  /// The place of one replica. Its lock is never held while a volume is opened, which may take long: whoever comes
  /// meanwhile is told so.
  private final class Slot: Sendable {
    struct State {
      var replica: Replica?
      var isLoading = false
    }
    let disks: [SessionGrant.Disk]
    let state = Mutex(State())
    init(disks: [SessionGrant.Disk]) { self.disks = disks }
  }

  /// What signs receipts.
  let key: AgentKey
  let volumes: DurableFolder
  let records: DurableFolder
  private let migrations: DurableFolder
  private let lock: DurableFile
  private let slots = Mutex<[Key: Slot]>([:])
  /// Replicas that are being loaded: at most as many as leave half of the threads to others where volumes hang.
  private let loading = Mutex(0)
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
    guard let slot, slot.disks == grant.disks, let replica = slot.state.withLock({ $0.replica }), !replica.isBroken
    else {
      throw .epochClosed
    }
    return replica
  }

  /// The replica of a grant, loaded from disk where it is not in memory or is broken. Blocks, but never for another's
  /// volumes.
  ///
  /// - Parameter isFirst: the session's first opening: where nothing was ever written, nothing needs to be read.
  /// - Throws: `Problem` where another session is at work on one of the volumes, or one cannot be opened.
  func load(_ grant: SessionGrant, isFirst: Bool = false) throws -> Replica {
    let slot = try claim(grant)
    if let replica = try beginLoading(slot, Key(grant)) { return replica }
    var loaded: Replica?
    defer {
      loading.withLock { $0 -= 1 }
      slot.state.withLock { $0 = .init(replica: loaded) }
    }
    let replica = try makeReplica(grant, isBlank: isFirst && grant.written != true)
    loaded = replica
    return replica
  }

  /// The replica that is there and sound; nil where the caller has to load it.
  private func beginLoading(_ slot: Slot, _ key: Key) throws(Problem) -> Replica? {
    let (ready, old) = try slots.withLock { slots throws(Problem) -> (Replica?, Replica?) in
      // Another grant may have claimed the volumes meanwhile.
      guard slots[key] === slot else { throw .busy("its volumes are being opened") }
      return try begin(slot)
    }
    // The old handles go before new ones are opened, and outside of the locks, as a goodbye takes its time.
    withExtendedLifetime(old) {}
    return ready
  }

  /// Either the replica that is there and sound, or, where it is to be loaded, the old one.
  private func begin(_ slot: Slot) throws(Problem) -> (ready: Replica?, old: Replica?) {
    try slot.state.withLock { state throws(Problem) -> (Replica?, Replica?) in
      guard !state.isLoading else { throw .busy("its volumes are being opened") }
      if let replica = state.replica, !replica.isBroken { return (replica, nil) }
      let isFree = loading.withLock { loading in
        guard loading < 2 * threads else { return false }
        loading += 1
        return true
      }
      guard isFree else { throw .busy("volumes of many others are being opened") }
      guard state.replica?.retire() ?? true else {
        loading.withLock { $0 -= 1 }
        throw .busy("writes of an earlier opening are ending")
      }
      defer { state = .init(replica: nil, isLoading: true) }
      return (nil, state.replica)
    }
  }

  /// Takes the volumes of a grant away from every other replica, which must all be idle.
  private func claim(_ grant: SessionGrant) throws(Problem) -> Slot {
    let key = Key(grant)
    // What goes is let go outside of the lock.
    var gone: [Slot] = []
    defer { withExtendedLifetime(gone) {} }
    return try slots.withLock { slots throws(Problem) in
      if let slot = slots[key], slot.disks == grant.disks { return slot }
      for (other, slot) in slots where slot.disks.contains(where: { Self.collides($0, grant) }) {
        let (replica, isLoading) = slot.state.withLock { ($0.replica, $0.isLoading) }
        guard !isLoading else { throw .volumeInUse("\(other.volumes)") }
        // The same volume for two tenants is a fault of who issues grants, and is never served.
        guard other.tenant == key.tenant else { throw .grantRefused("a volume belongs to another tenant") }
        guard replica?.retire() ?? true else { throw .volumeInUse("\(other.volumes)") }
        gone.append(slot)
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

  private func makeReplica(_ grant: SessionGrant, isBlank: Bool) throws -> Replica {
    let disks = try grant.disks.map { disk in
      let folder = try volumes.folder(ReplicaStore.name(grant.tenant, disk.volume))
      return try ReplicaDisk(disk, folder: folder, isBlank: isBlank, open: openVolume)
    }
    let store = try ReplicaStore(
      folder: records.folder(Self.record(of: grant)), migrations: migrations, tenant: grant.tenant,
      migration: grant.migration)
    if let origin = try disks.compactMap({ try $0.map.unreadOrigin() }).first {
      try store.loseOrigin(origin, migration: grant.migration, epoch: UInt64(max(0, now())))
    }
    return Replica(
      disks: disks, store: store, key: key, pool: pool, threads: threads, logger: logger, now: now)
  }

  /// The folder of a replica's record.
  static func record(of grant: SessionGrant) -> String {
    ReplicaStore.name(grant.tenant, grant.disks.map(\.volume).joined(separator: "\n"))
  }

  /// Makes every volume durable, at the end.
  func close() {
    for slot in slots.withLock({ Array($0.values) }) { slot.state.withLock { $0.replica }?.close() }
    lock.unlock()
  }
}
