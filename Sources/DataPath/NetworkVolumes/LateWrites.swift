import Blocks
import Glibc
import Synchronization

/// Writes that were given up and that their servers may still carry out, by address. Until their end is known the address
/// is not opened again: such a write could overwrite what was written after it, even after a seal.
///
/// A write has ended when its server answered it, or has closed the connection: it died (a process's sockets close when
/// its last thread has left the kernel), was replaced, or had received a part only and was told that no more comes. A
/// volume that comes back at another address is for whoever gave that address to have fenced.
final class LateWrites: Sendable {
  static let shared = LateWrites()

  /// A socket of which nothing is read any more but its end.
  final class Socket: Sendable {
    private let descriptor: CInt
    init(_ descriptor: CInt) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    /// Whether the other side has closed it.
    var hasEnded: Bool {
      var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
      while true {
        let count = recv(descriptor, &bytes, MemoryLayout.size(ofValue: bytes), CInt(MSG_DONTWAIT))
        if count > 0 || (count < 0 && errno == EINTR) { continue }
        return count == 0 || errno != EAGAIN
      }
    }
  }

  enum Write: Sendable {
    case sent(NBDConnection)
    case cut(Socket)

    fileprivate var hasEnded: Bool {
      switch self {
      case .sent(let connection): connection.hasEndedLate()
      case .cut(let socket): socket.hasEnded
      }
    }
  }

  private let writes = Mutex<[String: [Write]]>([:])

  func add(_ write: Write, uri: String) { writes.withLock { $0[uri, default: []].append(write) } }

  /// - Throws: `.cannotOpen` while a late write to this address may still be carried out.
  func refuse(_ uri: String) throws(BlockError) {
    // What has ended is let go outside of the lock, as a goodbye takes its time.
    let (ended, left) = writes.withLock { writes -> ([Write], Int) in
      var (ended, left): ([Write], [Write]) = ([], [])
      for write in writes[uri] ?? [] { if write.hasEnded { ended.append(write) } else { left.append(write) } }
      writes[uri] = left.isEmpty ? nil : left
      return (ended, left.count)
    }
    withExtendedLifetime(ended) {}
    guard left > 0 else { return }
    throw BlockError(
      .cannotOpen, call: "nbd_connect_uri", device: uri,
      reason: "its server may still carry out \(left) writes that were given up, and newer bytes would be lost; it is "
        + "opened once the server has answered them or was restarted")
  }
}
