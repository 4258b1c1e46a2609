public import Machines

/// What is to be done to a guest: the report to show, and the concrete changes behind its edits, in order.
public struct RepairPlan: Sendable {
  public var report: RepairReport
  var changes: [RepairChange]
}

/// One change to one path of the guest.
struct RepairChange: Hashable, Sendable {
  enum Content: Hashable, Sendable {
    /// The whole new content of a file; the mode counts where the file is new.
    case bytes([UInt8], mode: UInt32)
    /// The content of another of the guest's files.
    case copy(of: String)
    /// What is there now and the graft behind it.
    case grafted(InitramfsGraft)
    /// Nothing: the file is gone.
    case removed
    /// Nothing, and no copy is kept: file or folder.
    case erased
  }

  var path: String
  var content: Content
  var reason: String

  /// Where the original is kept. Beside the file in /boot, which may be a filesystem of its own; elsewhere in a folder
  /// of ours, because programs read whatever lies in their configuration folders.
  var keptOriginal: String {
    path.hasPrefix("/boot/") || path.hasPrefix("/efi/")
      ? path + ".godwit-orig" : RepairJournal.folder + "/original" + path
  }

  /// The change as the report shows it.
  func edit(in files: GuestFiles) -> RepairReport.Edit {
    let before = files.size(path)
    var action = RepairReport.Edit.Action.write
    var after: UInt64?
    switch content {
    case .bytes(let bytes, _): after = UInt64(bytes.count)
    case .copy(let source): after = files.size(source)
    case .grafted(let graft):
      action = .append
      after = graft.size(in: files).map { InitramfsGraft.padded(before ?? 0) + $0 }
    case .removed, .erased: action = .remove
    }
    return RepairReport.Edit(
      action: action, path: path, reason: reason, undo: undo(existed: before != nil), sizeBefore: before,
      sizeAfter: after)
  }

  private func undo(existed: Bool) -> String {
    if content == .erased { return "None: a clone must not carry it." }
    return existed ? "Put \(keptOriginal) back." : "Remove \(path)."
  }
}
