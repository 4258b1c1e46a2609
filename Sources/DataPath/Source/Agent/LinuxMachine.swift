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

  public func source(disks: [String], migration: String, session: String) throws -> any SyncSource {
    try current.withLock { current in
      if let known = current, known.migration == migration, known.disks == disks {
        known.source.begin(session: session)
        return known.source
      }
      // Pending marks belong to one replica; another one begins with a comparison.
      current?.source.stop()
      current = nil
      let source = try LinuxSource(disks: disks, places: places)
      source.begin(session: session)
      current = (migration, disks, source)
      return source
    }
  }

  public func hasCommitted(session: String) -> Bool {
    FinalSealNote.read(at: places)?.session == session
  }

  /// Thaws what an earlier life of the agent may have left frozen, unless the machine is to be switched off like that.
  /// Then log lines are held back, as they could wait for a filesystem that waits for us. To be called before anything
  /// is written.
  /// - Returns: the mount points that were frozen.
  public func thawLeftovers() -> [String] {
    if (try? PrivateFile.read(places.committed)).flatMap({ $0 }) != nil {
      StandardError.hold(true)
      return []
    }
    return FreezeGuard.thawLeftovers(MountedFilesystem.on(disks: SystemFile.names(in: "/sys/block")))
  }

  public func uninstall() throws {
    current.withLock { $0?.source.stop() }
    try Systemd(places: places).uninstall()
    for path in [places.identity, places.identity + ".new", places.state, places.committed, places.volatile] {
      try PrivateFile.remove(path)
    }
    try PrivateFile.remove(places.program)
  }
}
