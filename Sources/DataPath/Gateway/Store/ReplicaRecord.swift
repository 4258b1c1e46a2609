import FoundationEssentials
import Replication

/// What is stored of a replica beside its leaf maps and its manifest: one small file, replaced as a whole.
struct ReplicaRecord: Codable, Hashable, Sendable {
  var session: String?
  var migration: String
  var epoch: UInt64
  var sealed: Bool
  var retired: [String]
  /// The file that holds this session's manifest.
  var manifest: String
  /// The last sealed chain of the migration before this session, in hex; empty before the first.
  var previous: String

  init(migration: String) {
    (session, self.migration, epoch, sealed) = (nil, migration, 0, false)
    (retired, manifest, previous) = ([], "manifest-0", "")
  }

  func stored(parts: UInt64) -> ReplicaMachine.Stored {
    .init(session: session, epoch: Epoch(rawValue: epoch), parts: parts, sealed: sealed, retired: retired)
  }
}
