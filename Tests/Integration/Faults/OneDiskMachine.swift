import Foundation
import Machines
import Synchronization

@testable import Source

/// A source whose disks are the given ones: everything else is the agent's own.
final class OneDiskMachine: SourceMachine {
  private let make:
    @Sendable (_ disks: [String], _ identities: [String]?, _ migration: String, _ session: String) throws ->
      any SyncSource
  private let removed = Mutex(false)
  private let places: AgentPlaces?

  var isUninstalled: Bool { removed.withLock { $0 } }

  /// The kernel's own disk, frozen, tracked and read as on any machine.
  /// - Parameter folder: for the state that an agent keeps.
  init(linuxIn folder: String) {
    var places = AgentPlaces()
    (places.state, places.volatile) = (folder + "/state", folder + "/run")
    (places.configuration, places.program) = (folder + "/etc", folder + "/agent")
    self.places = places
    let linux = LinuxMachine(places: places)
    make = { try linux.source(disks: $0, identities: $1, migration: $2, session: $3) }
  }

  /// A file that is tracked by whoever writes through it.
  init(_ file: TrackedFile) {
    places = nil
    make = { _, _, _, _ in file }
  }

  /// Ends what outlives an agent: its tracking.
  func end() { places?.trackingKeeper(owner: "").removeAll() }

  static func disk(_ name: String, size: UInt64) -> MachineDescription.Disk {
    .init(name: name, size: size, sectorSize: 512, partitionTable: "none", partitions: [], serial: "")
  }

  func describe() throws -> MachineDescription { SimulatedAgent.machine }
  func rehearse() throws -> RepairReport { throw CocoaError(.featureUnsupported) }
  func source(
    disks: [String], identities: [String]?, migration: String, session: String
  ) throws -> any SyncSource {
    try make(disks, identities, migration, session)
  }
  func hasCommitted(session: String) -> Bool { false }
  func uninstall() throws { removed.withLock { $0 = true } }
}
