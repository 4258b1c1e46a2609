import FoundationEssentials
import Glibc

/// What outlives the agent, but not the machine's next start, once the seal of a final sync is requested: that the
/// filesystems are frozen and stay so, and what their instant was.
struct FinalSealNote: Codable, Hashable, Sendable {
  var session: String
  /// As in `SyncSource.consistency`.
  var consistency: [String: String]
  /// Mount points that are frozen.
  var frozen: [String]

  /// Whether an earlier life, or this one, requested the final seal of `session` and the machine stands still since. A
  /// note of filesystems of which somebody has thawed one meanwhile is none; then all are thawed.
  static func holds(_ session: String, at places: AgentPlaces) -> Bool {
    guard let note = read(at: places), note.session == session else { return false }
    if FreezeGuard.areFrozen(note.frozen) { return true }
    unlink(places.committed)
    return false
  }

  /// Nil where there is none, or it cannot be read.
  static func read(at places: AgentPlaces) -> FinalSealNote? {
    guard let bytes = (try? PrivateFile.read(places.committed)).flatMap({ $0 }) else { return nil }
    return try? JSONDecoder().decode(FinalSealNote.self, from: Data(bytes))
  }

  func write(to places: AgentPlaces) throws {
    try PrivateFile.write(Array(JSONEncoder().encode(self)), to: places.committed)
  }
}
