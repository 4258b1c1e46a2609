import Replication
import Wire

/// A map that was lost, or of another volume, is *unread* until its volume was read: what the volume holds is not known,
/// and must be found out there rather than be sent again.
///
/// The file `unread` says so. It is there before the map forgets, and goes when all was read; what was read stays known
/// when the gateway dies in between. It holds the *origin*: a name that nobody has heard before, given to the replica's
/// past in place of its last sealed chain. So no agent takes the replica for the one it knew: it compares.
extension LeafMap {
  private static let note = "unread"

  var isUnread: Bool { folder.exists(Self.note) }

  /// Nil where the map is not unread.
  func unreadOrigin() throws(StoreError) -> String? {
    try folder.read(Self.note).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Durably says so, unless it is said.
  static func noteUnread(_ folder: DurableFolder) throws(StoreError) {
    guard !folder.exists(note) else { return }
    let origin = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    try folder.replace(note, with: Array(Hex.encode(origin).utf8))
  }

  /// All of the volume was read.
  func noteRead() throws(StoreError) { try folder.removeDurably(Self.note) }
}
