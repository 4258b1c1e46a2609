public import Machines

/// What the agent can do on its machine, besides speaking. Calls block.
public protocol SourceMachine: Sendable {
  func describe() throws -> MachineDescription
  /// The repair planner's verdict, read-only.
  func rehearse() throws -> RepairReport
  /// The disks of a sync. The same instance serves later syncs of the same disks of the same migration: it knows what
  /// is pending for it.
  /// - Parameters:
  ///   - disks: kernel names, in the session's order, as they were when the migration began.
  ///   - identities: as in `SyncCommand`.
  /// - Throws: `SyncFailure` with the code `disk_changed` where a disk is not there any more.
  func source(disks: [String], identities: [String]?, migration: String, session: String) throws -> any SyncSource
  /// Whether an earlier life of this agent had requested the final seal of `session` on this machine as it runs.
  func hasCommitted(session: String) -> Bool
  /// Removes the agent from the machine: program, unit, key, state.
  func uninstall() throws
}
