import Blocks
import CNBD
import Glibc
import Synchronization

/// One connection to an NBD server. A server that does not answer within `patience` is given up: its connection is cut,
/// as if it had died, so that nobody waits for it for good.
///
/// `@unchecked Sendable`: libnbd locks each handle itself, and its error state belongs to the thread that made the call,
/// which here always asks for it at once. The `Mutex` lets one thread use the connection at a time, which also guards
/// `isGivenUp`.
final class NBDConnection: @unchecked Sendable {
  private let handle: OpaquePointer
  private let uri: String
  private let patience: Duration
  private let busy = Mutex(())
  private var isGivenUp = false
  /// A write that was sent as a whole and given up: its cookie.
  private var late: UInt64?

  /// How long an orderly goodbye may take.
  private static let goodbye = Duration.seconds(1)

  init(uri: String, patience: Duration) throws(BlockError) {
    guard uri.hasPrefix("nbd+unix://") || uri.hasPrefix("nbd://") else {
      throw BlockError(
        .cannotOpen, call: "nbd_connect_uri", device: uri, reason: "only nbd+unix:// and nbd:// are understood")
    }
    guard let handle = nbd_create() else {
      throw BlockError(.cannotOpen, call: "nbd_create", device: uri, reason: Self.lastReason())
    }
    self.handle = handle
    (self.uri, self.patience) = (uri, patience)
    // An address names an export and nothing else: never a local file that the library would read for it.
    _ = nbd_set_uri_allow_local_file(handle, false)
    _ = nbd_set_uri_allow_transports(handle, UInt32(LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX))
    guard nbd_aio_connect_uri(handle, uri) == 0 else { throw refusal(Self.lastReason()) }
    let end = ContinuousClock.now + patience
    while nbd_aio_is_ready(handle) != 1 {
      let left = end - .now
      guard left > .zero else { throw refusal(silence) }
      let polled = nbd_poll(handle, Self.milliseconds(left))
      if isGone { throw refusal(polled < 0 ? Self.lastReason() : "the server closed the connection") }
    }
  }

  deinit {
    if nbd_aio_is_ready(handle) == 1, nbd_aio_disconnect(handle, 0) == 0 {
      let end = ContinuousClock.now + Self.goodbye
      while !isGone, end > .now, nbd_poll(handle, Self.milliseconds(end - .now)) >= 0 {}
    }
    nbd_close(handle)
  }

  private var isGone: Bool { isGivenUp || nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1 }

  private var silence: String { "no answer within \(patience); see whether the server behind it hangs" }

  /// For `nbd_poll`, which takes a negative number for no limit.
  private static func milliseconds(_ duration: Duration) -> CInt {
    CInt(max(1, min(duration / .milliseconds(1), 1_000_000)))
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
    try perform(.unreadable, "nbd_pread", offset) {
      nbd_aio_pread(handle, bytes.baseAddress, bytes.count, offset, .init(), 0)
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(BlockError) {
    try perform(.unwritable, "nbd_pwrite", offset, changes: true) {
      nbd_aio_pwrite(handle, bytes.baseAddress, bytes.count, offset, .init(), 0)
    }
  }

  func zero(count: UInt64, at offset: UInt64) throws(BlockError) {
    try perform(.unwritable, "nbd_zero", offset, changes: true) { nbd_aio_zero(handle, count, offset, .init(), 0) }
  }

  func flush() throws(BlockError) {
    try perform(.notDurable, "nbd_flush", nil) { nbd_aio_flush(handle, .init(), 0) }
  }

  /// Sends a command and waits for its end; when this returns or throws, libnbd uses the command's memory no more.
  ///
  /// - Parameter changes: the command changes what the volume holds, so that nobody may open it until its end is known.
  private func perform(
    _ code: BlockError.Code, _ call: String, _ offset: UInt64?, changes: Bool = false, _ send: () -> Int64
  ) throws(BlockError) {
    guard !isGivenUp else { throw gone(code, call, offset, silence) }
    let cookie = send()
    guard cookie >= 0 else { throw failure(code, call, offset) }
    let end = ContinuousClock.now + patience
    while true {
      let completed = nbd_aio_command_completed(handle, UInt64(cookie))
      if completed > 0 { return }
      if completed < 0 { throw failure(code, call, offset) }
      let left = end - .now
      guard left > .zero else {
        if changes { leave(UInt64(cookie)) } else { giveUp(on: UInt64(cookie)) }
        throw gone(code, call, offset, silence)
      }
      // What goes wrong here is told by the command, which then has ended.
      _ = nbd_poll(handle, Self.milliseconds(left))
    }
  }

  /// Cuts the connection and waits until libnbd has noticed, which ends every command.
  private func giveUp(on cookie: UInt64) {
    isGivenUp = true
    shutdown(nbd_aio_get_fd(handle), CInt(SHUT_RDWR))
    while nbd_aio_command_completed(handle, cookie) == 0, nbd_poll(handle, 1000) > 0 {}
  }

  /// Gives a write up whose server may carry it out at any later time: it is watched until that is out of the question.
  private func leave(_ cookie: UInt64) {
    isGivenUp = true
    guard nbd_aio_get_direction(handle) & UInt32(LIBNBD_AIO_DIRECTION_WRITE) != 0 else {
      // Sent as a whole: the server's answer, or its end, is waited for on this very connection. libnbd needs the
      // command's memory no more.
      late = cookie
      return LateWrites.shared.add(.sent(self), uri: uri)
    }
    // Sent in part: a server that gets no more of it does not carry it out, and says that it has seen the end by closing
    // its own side. libnbd, which cannot send any more, ends the command.
    let socket = fcntl(nbd_aio_get_fd(handle), F_DUPFD_CLOEXEC, 0)
    LateWrites.shared.add(.cut(LateWrites.Socket(socket)), uri: uri)
    shutdown(nbd_aio_get_fd(handle), CInt(SHUT_WR))
    while nbd_aio_command_completed(handle, cookie) == 0, nbd_poll(handle, 1000) > 0 {}
  }

  /// Whether the write that was left was answered since, or its server has closed the connection, as a dead one's is.
  func hasEndedLate() -> Bool {
    busy.withLock { _ in
      guard let cookie = late else { return true }
      while nbd_poll(handle, 0) > 0 {}
      let hasEnded =
        nbd_aio_command_completed(handle, cookie) != 0 || nbd_aio_is_dead(handle) == 1
        || nbd_aio_is_closed(handle) == 1
      // libnbd tells of a completed command only once.
      if hasEnded { late = nil }
      return hasEnded
    }
  }

  /// What went wrong in the call just made by this thread.
  private func failure(_ fallback: BlockError.Code, _ call: String, _ offset: UInt64?) -> BlockError {
    let number = nbd_get_errno()
    let reason = Self.lastReason()
    if isGone || [ENOTCONN, ESHUTDOWN, EPIPE, ECONNRESET, ENXIO, ENODEV].contains(number) {
      return gone(fallback, call, offset, reason)
    }
    let isFull = (number == ENOSPC || number == EDQUOT) && fallback == .unwritable
    return BlockError(isFull ? .full : fallback, call: call, device: uri, offset: offset, reason: reason)
  }

  private func gone(_ code: BlockError.Code, _ call: String, _ offset: UInt64?, _ reason: String) -> BlockError {
    BlockError(code == .notDurable ? .notDurable : .vanished, call: call, device: uri, offset: offset, reason: reason)
  }

  private static func lastReason() -> String {
    nbd_get_error().map { String(cString: $0) } ?? "libnbd gave no reason"
  }
}
