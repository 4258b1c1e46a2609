import Glibc
import Synchronization
import Wire

/// The one line on standard output that tells whoever started the gateway where it listens and what it signs with.
final class Announcement: Sendable {
  private let key = Mutex<[UInt8]>([])

  func set(_ key: [UInt8]) { self.key.withLock { $0 = key } }

  func announce(port: Int) {
    let key = key.withLock { Base64URL.encode($0) }
    print(#"{"key":"\#(key)","port":\#(port)}"#)
    fflush(nil)
  }
}
