import Machines

/// A plan while it is being made. Later steps see what earlier ones changed.
struct RepairDraft {
  let files: GuestFiles
  var changes: [RepairChange] = []
  var problems: [RepairReport.Problem] = []
  var findings: [String: String] = [:]
  private(set) var verdict = RepairReport.Verdict.ready

  init(files: GuestFiles) { self.files = files }

  /// The text of a configuration file, as the plan so far leaves it.
  func text(_ path: String) -> String? {
    for change in changes.reversed() where change.path == path {
      if case .bytes(let bytes, _) = change.content { return String(decoding: bytes, as: UTF8.self) }
      return nil
    }
    return files.text(path)
  }

  /// Plans `path` to hold `text`; nothing when it does already.
  mutating func write(_ path: String, _ text: String, reason: String, mode: UInt32 = 0o644) {
    write(path, bytes: Array(text.utf8), reason: reason, mode: mode)
  }

  mutating func write(_ path: String, bytes: [UInt8], reason: String, mode: UInt32 = 0o644) {
    if (try? files.read(path)) == bytes { return }
    changes.removeAll { $0.path == path }
    changes.append(RepairChange(path: path, content: .bytes(bytes, mode: mode), reason: reason))
  }

  /// Plans a file to be gone; nothing when there is none.
  mutating func remove(_ path: String, reason: String) {
    guard files.exists(path) else { return }
    changes.append(RepairChange(path: path, content: .removed, reason: reason))
  }

  /// The machine may not work as it should.
  mutating func doubt(_ code: String, _ message: String, remedy: String) {
    problems.append(RepairReport.Problem(code: code, message: message, remedy: remedy))
    if verdict == .ready { verdict = .doubtful }
  }

  /// The machine will not boot, or is not understood.
  mutating func refuse(_ code: String, _ message: String, remedy: String) {
    problems.append(RepairReport.Problem(code: code, message: message, remedy: remedy))
    verdict = .refused
  }
}
