import FoundationEssentials
import Replication

/// What is stored of a replica beside its leaf maps and its manifest: one small file, replaced as a whole.
struct ReplicaRecord: Codable, Hashable, Sendable {
  var session: String?
  /// The session's place in the order of the migration's sessions.
  var ordinal: UInt64
  var migration: String
  var epoch: UInt64
  var sealed: Bool
  /// The file that holds this session's manifest.
  var manifest: String
  /// The last sealed chain of the migration before this session, in hex; empty before the first.
  var previous: String

  init(migration: String) {
    (session, ordinal, self.migration, epoch, sealed) = (nil, 0, migration, 0, false)
    (manifest, previous) = ("manifest-0", "")
  }

  func stored(parts: UInt64) -> ReplicaMachine.Stored {
    .init(session: session, ordinal: ordinal, epoch: Epoch(rawValue: epoch), parts: parts, sealed: sealed)
  }
}
