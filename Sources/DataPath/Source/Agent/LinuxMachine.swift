import Logs
public import Machines
import Repair
import Synchronization

/// This machine.
public final class LinuxMachine: SourceMachine {
  private let places: AgentPlaces
  /// The one source that is tracked, and for whom.
  private let current = Mutex<(migration: String, disks: [String], source: LinuxSource)?>(nil)

  public init(places: AgentPlaces) { self.places = places }

  public func describe() throws -> MachineDescription { try MachineInspector().describe() }

  public func rehearse() throws -> RepairReport { RepairPlanner(rehearsing: try describe()).plan().report }

  public func source(
    disks known: [String], identities: [String]?, migration: String, session: String
  ) throws -> any SyncSource {
    let disks = try Self.names(of: known, identities: identities)
    return try current.withLock { current in
      if let known = current, known.migration == migration, known.disks == disks {
        known.source.begin(session: session)
        return known.source
      }
      // Pending marks belong to one replica; another one begins with a comparison.
      current?.source.stop()
      current = nil
      let source = try LinuxSource(disks: disks, places: places, migration: migration)
      source.begin(session: session)
      current = (migration, disks, source)
      return source
    }
  }

  /// The names that these disks bear now.
  static func names(of known: [String], identities: [String]?) throws -> [String] {
    guard let identities, identities.count == known.count else { return known }
    // Also disks of kinds that are not offered by themselves, where a migration names them.
    let offered = MachineInspector().identities
    let named = MachineInspector(disks: known.filter { SystemFile.text("/sys/block/\($0)/dev") != nil }).identities
    return try DiskIdentity.resolve(
      zip(known, identities).map { ($0, $1.isEmpty ? nil : $1) }, among: offered.merging(named) { first, _ in first })
  }

  public func hasCommitted(session: String) -> Bool { FinalSealNote.holds(session, at: places) }

  /// Thaws what an earlier life of the agent may have left frozen, unless the machine is to be switched off like that.
  /// Then log lines are held back, as they could wait for a filesystem that waits for us; else the hooks run that it
  /// still owed. To be called before anything is written.
  /// - Returns: the mount points that were frozen.
  public func thawLeftovers() -> [String] {
    if (try? PrivateFile.read(places.committed)).flatMap({ $0 }) != nil {
      StandardError.hold(true)
      return []
    }
    let thawed = FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: SystemFile.names(in: "/sys/block")))
    _ = OwedHooks(places: places).runOwed()
    return thawed
  }

  public func uninstall() throws {
    current.withLock { $0?.source.stop() }
    // What an earlier life left, too.
    places.trackingKeeper(owner: "").removeAll()
    try Systemd(places: places).uninstall()
    let notes = [places.committed, places.memory].flatMap { [$0, $0 + ".new"] }
    for path in [places.identity, places.identity + ".new", places.state] + notes + [places.volatile] {
      try PrivateFile.remove(path)
    }
    try PrivateFile.remove(places.program)
  }
}
