public import Machines

/// Makes the changes of a plan. Every file is replaced whole and durably or not at all, and its first original is kept;
/// so a run that was killed is repeated by planning and applying again.
public struct RepairEditor: Sendable {
  let files: GuestFiles

  /// - Parameter files: the guest the plan was made for, mounted for writing.
  public init(files: GuestFiles) { self.files = files }

  /// Applies `plan`.
  /// - Returns: the report with `applied` set; edits of an earlier run that was killed are in it too. A refused plan
  ///   changes nothing and comes back as it is.
  /// - Throws: `GuestFiles.Failure` naming the file that could not be changed.
  public func apply(_ plan: RepairPlan) throws -> RepairReport {
    var report = plan.report
    guard report.verdict != .refused else { return report }
    let journal = RepairJournal(files: files)
    if let earlier = journal.interrupted() {
      let again = Set(report.edits.map(\.path))
      report.edits = earlier.edits.filter { !again.contains($0.path) } + report.edits
    }
    if !report.edits.isEmpty {
      try journal.record(report)
      for change in plan.changes { try make(change) }
      files.synchronise()
    }
    report.applied = true
    if !report.edits.isEmpty { try journal.record(report) }
    return report
  }

  private func make(_ change: RepairChange) throws {
    let original = change.keptOriginal
    switch change.content {
    case .bytes(let bytes, let mode):
      try files.replace(change.path, with: bytes, mode: mode, keepingAt: original)
    case .copy(let source):
      try files.replace(change.path, with: files.read(source), mode: 0o644, keepingAt: original)
    case .grafted(let graft):
      let initrd = try files.read(change.path)
      try files.replace(change.path, with: graft.grafted(onto: initrd, from: files), mode: 0o600, keepingAt: original)
    case .removed: try files.move(change.path, to: original)
    case .erased: try files.erase(change.path)
    }
  }
}
