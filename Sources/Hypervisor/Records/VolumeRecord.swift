/// What is remembered of a volume.
struct VolumeRecord: Codable, Sendable {
  var id: String
  /// Bytes.
  var size: UInt64
  var origin: String?
  var tags: [String: String]
  /// False until its first layer is on disk.
  var ready: Bool
  /// Top first. Only the top layer is ever written.
  var layers: [LayerID]
  /// Whether it is to be exported.
  var attached: Bool

  var volume: Volume {
    Volume(id: id, size: size, state: ready ? .ready : .creating, origin: origin, tags: tags)
  }
}
