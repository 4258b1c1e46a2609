import FoundationEssentials
public import Logging
import NIOPosix
import Synchronization

/// The local cloud's engine: volumes, snapshots and machines on this host.
///
/// Every change is written down before it is made (the record first, then the file or process) and can be finished or
/// undone from the record alone: `recover` does that after a crash. Changes take turns; looking does not.
public final class LocalCloud: Sendable {
  struct State {
    var volumes: [String: VolumeRecord] = [:]
    var snapshots: [String: SnapshotRecord] = [:]
    var machines: [String: MachineRecord] = [:]
    /// Running storage daemons and QEMUs, by run folder.
    var processes: [String: HostProcess] = [:]
    var verdict: AcceleratorVerdict?
  }

  let settings: HypervisorSettings
  let folder: StateFolder
  let directIO: Bool
  let logger: Logger
  /// Every change to records, files and processes is made within a turn.
  let turns = TurnLock()
  let probing = TurnLock()
  private let lock: InstanceLock
  private let state: Mutex<State>

  /// Reads the records of an earlier life. Throws when another daemon uses the state folder, or a record is unreadable.
  public init(_ settings: HypervisorSettings, logger: Logger) throws {
    self.settings = try settings.resolved()
    self.logger = logger
    folder = try StateFolder(path: settings.state)
    lock = try InstanceLock(path: "\(folder.path)/lock")
    directIO = DirectIO.works(in: folder.layersPath)
    state = Mutex(
      State(
        volumes: try folder.volumes.all(), snapshots: try folder.snapshots.all(), machines: try folder.machines.all()))
    if !directIO {
      logger.warning(
        "the state folder's filesystem has no O_DIRECT: the host's page cache is used",
        metadata: ["state.path": "\(folder.path)"])
    }
  }

  func read<Value>(_ look: (State) -> Value) -> Value { state.withLock { look($0) } }

  /// Runs what blocks (disk, monitor sockets) off the cooperative threads.
  func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive(work)
  }

  // MARK: Records

  func store(_ record: VolumeRecord) async throws {
    try await blocking { [folder] in try folder.volumes.store(record, id: record.id) }
    state.withLock { $0.volumes[record.id] = record }
  }

  func store(_ record: SnapshotRecord) async throws {
    try await blocking { [folder] in try folder.snapshots.store(record, id: record.id) }
    state.withLock { $0.snapshots[record.id] = record }
  }

  func store(_ record: MachineRecord) async throws {
    try await blocking { [folder] in try folder.machines.store(record, id: record.id) }
    state.withLock { $0.machines[record.id] = record }
  }

  func remove(_ record: VolumeRecord) async throws {
    try await blocking { [folder] in try folder.volumes.remove(id: record.id) }
    state.withLock { $0.volumes[record.id] = nil }
  }

  func remove(_ record: SnapshotRecord) async throws {
    try await blocking { [folder] in try folder.snapshots.remove(id: record.id) }
    state.withLock { $0.snapshots[record.id] = nil }
  }

  func remove(_ record: MachineRecord) async throws {
    try await blocking { [folder] in
      if FileManager.default.fileExists(atPath: folder.machineFolder(record.id)) {
        try FileManager.default.removeItem(atPath: folder.machineFolder(record.id))
      }
      try folder.machines.remove(id: record.id)
    }
    state.withLock { $0.machines[record.id] = nil }
  }

  func remember(_ process: HostProcess?, in run: RunFolder) {
    state.withLock { $0.processes[run.path] = process }
  }

  func remember(_ verdict: AcceleratorVerdict) {
    state.withLock { $0.verdict = verdict }
  }

  // MARK: Looking

  /// Everything that carries all of `tags`.
  public func resources(tags: [String: String]) -> Resources {
    func carries(_ own: [String: String]) -> Bool { tags.allSatisfy { own[$0.key] == $0.value } }
    let (volumes, snapshots, machines) = read { ($0.volumes, $0.snapshots, $0.machines) }
    return Resources(
      volumes: volumes.values.filter { carries($0.tags) }.map(\.volume).sorted { $0.id < $1.id },
      snapshots: snapshots.values.filter { carries($0.tags) }.map(\.snapshot).sorted { $0.id < $1.id },
      machines: machines.values.filter { carries($0.tags) }.map(observed).sorted { $0.id < $1.id })
  }
}
