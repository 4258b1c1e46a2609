/// How consistent a filesystem is in a point.
public enum ConsistencyLevel: String, Hashable, Codable, Sendable {
  /// As after a loss of power at one instant.
  case crash
  /// The filesystem was frozen: everything written before is in it, and it needs no repair.
  case filesystem
  /// Frozen, and hooks brought the applications to rest before.
  case application
}
