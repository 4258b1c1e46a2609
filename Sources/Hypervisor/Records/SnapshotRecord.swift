/// What is remembered of a snapshot.
struct SnapshotRecord: Codable, Sendable {
  var id: String
  var volume: String
  /// Bytes.
  var size: UInt64
  var tags: [String: String]
  /// False until the volume writes to `successor` and its record says so.
  var ready: Bool
  /// What the snapshot reads, top first; none of them ever changes again once it is ready.
  var layers: [LayerID]
  /// The layer that the volume goes on writing to.
  var successor: LayerID

  var snapshot: Snapshot {
    Snapshot(id: id, volume: volume, size: size, state: ready ? .ready : .creating, tags: tags)
  }
}
