import FoundationEssentials
import Machines

/// Kept in the guest: what a repair set out to do, so that one that was killed can be repeated and still reports
/// everything that was changed, and so that it can be taken back.
struct RepairJournal {
  /// Folder in the guest for the journal and the originals of changed files.
  static let folder = "/var/lib/godwit-repair"
  private static let path = folder + "/report.json"

  let files: GuestFiles

  /// The report of a repair that began and did not end; nil when there is none.
  func interrupted() -> RepairReport? {
    guard let bytes = try? files.read(Self.path, limit: 8 << 20),
      let report = try? JSONDecoder().decode(RepairReport.self, from: Data(bytes)), !report.applied
    else { return nil }
    return report
  }

  /// Durably records `report`.
  func record(_ report: RepairReport) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try files.replace(Self.path, with: Array(encoder.encode(report)), mode: 0o600, keepingAt: nil)
  }
}
