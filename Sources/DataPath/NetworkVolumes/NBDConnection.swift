import Blocks
import CNBD
import Glibc
import Synchronization

/// One connection to an NBD server.
///
/// `@unchecked Sendable`: libnbd locks each handle itself, and its error state belongs to the thread that made the call,
/// which here always asks for it at once. The `Mutex` only tells whether the connection is in use.
final class NBDConnection: @unchecked Sendable {
  private let handle: OpaquePointer
  private let uri: String
  private let busy = Mutex(())

  init(uri: String) throws(BlockError) {
    guard uri.hasPrefix("nbd+unix://") || uri.hasPrefix("nbd://") else {
      throw BlockError(
        .cannotOpen, call: "nbd_connect_uri", device: uri, reason: "only nbd+unix:// and nbd:// are understood")
    }
    guard let handle = nbd_create() else {
      throw BlockError(.cannotOpen, call: "nbd_create", device: uri, reason: Self.lastReason())
    }
    self.handle = handle
    self.uri = uri
    // An address names an export and nothing else: never a local file that the library would read for it.
    _ = nbd_set_uri_allow_local_file(handle, false)
    _ = nbd_set_uri_allow_transports(handle, UInt32(LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX))
    guard nbd_connect_uri(handle, uri) == 0 else {
      throw BlockError(.cannotOpen, call: "nbd_connect_uri", device: uri, reason: Self.lastReason())
    }
  }

  deinit {
    if nbd_aio_is_ready(handle) == 1 { nbd_shutdown(handle, 0) }
    nbd_close(handle)
  }

  // MARK: What the server offers

  func size() throws(BlockError) -> UInt64 {
    let size = nbd_get_size(handle)
    guard size >= 0 else { throw BlockError(.cannotOpen, call: "nbd_get_size", device: uri, reason: Self.lastReason()) }
    return UInt64(size)
  }

  /// Smallest or largest request in bytes; nil where the server does not say.
  func blockSize(minimum: Bool) -> Int? {
    let size = nbd_get_block_size(handle, minimum ? LIBNBD_SIZE_MINIMUM : LIBNBD_SIZE_MAXIMUM)
    return size > 0 ? Int(size) : nil
  }

  var canZero: Bool { nbd_can_zero(handle) == 1 }
  var canFlush: Bool { nbd_can_flush(handle) == 1 }
  var canMultiConnect: Bool { nbd_can_multi_conn(handle) == 1 }
  var isReadOnly: Bool { nbd_is_read_only(handle) == 1 }

  func refusal(_ reason: String) -> BlockError {
    BlockError(.cannotOpen, call: "nbd_connect_uri", device: uri, reason: reason)
  }

  // MARK: Use

  /// Runs `body` if nobody else uses the connection; nil if somebody does.
  func ifIdle(_ body: (NBDConnection) throws(BlockError) -> Void) throws(BlockError) -> Void? {
    try busy.withLockIfAvailable { _ throws(BlockError) in try body(self) }
  }

  func whenIdle(_ body: (NBDConnection) throws(BlockError) -> Void) throws(BlockError) {
    try busy.withLock { _ throws(BlockError) in try body(self) }
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(BlockError) {
    guard nbd_pread(handle, bytes.baseAddress, bytes.count, offset, 0) == 0 else {
      throw failure(.unreadable, "nbd_pread", offset)
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(BlockError) {
    guard nbd_pwrite(handle, bytes.baseAddress, bytes.count, offset, 0) == 0 else {
      throw failure(.unwritable, "nbd_pwrite", offset)
    }
  }

  func zero(count: UInt64, at offset: UInt64) throws(BlockError) {
    guard nbd_zero(handle, count, offset, 0) == 0 else { throw failure(.unwritable, "nbd_zero", offset) }
  }

  func flush() throws(BlockError) {
    guard nbd_flush(handle, 0) == 0 else { throw failure(.notDurable, "nbd_flush", nil) }
  }

  /// What went wrong in the call just made by this thread.
  private func failure(_ fallback: BlockError.Code, _ call: String, _ offset: UInt64?) -> BlockError {
    let number = nbd_get_errno()
    let reason = Self.lastReason()
    let gone = nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1
    let code: BlockError.Code =
      if gone || [ENOTCONN, ESHUTDOWN, EPIPE, ECONNRESET, ENXIO, ENODEV].contains(number) {
        fallback == .notDurable ? .notDurable : .vanished
      } else if number == ENOSPC || number == EDQUOT, fallback == .unwritable {
        .full
      } else { fallback }
    return BlockError(code, call: call, device: uri, offset: offset, reason: reason)
  }

  private static func lastReason() -> String {
    nbd_get_error().map { String(cString: $0) } ?? "libnbd gave no reason"
  }
}
