import Glibc

/// A conversation with one QEMU or storage daemon on its monitor socket. Blocks: use it on a thread that may.
///
/// QEMU serves one monitor client at a time: a second connection waits for the first to end, so keep them short.
struct QMPConnection: ~Copyable {
  /// Longest line accepted; a machine with many nodes describes itself in less than a megabyte.
  static let longestLine = 16 << 20

  private let descriptor: CInt
  private let path: String
  private let deadline: ContinuousClock.Instant
  private var buffer: [UInt8] = []

  /// Connects and negotiates. Everything said on this connection must be answered within `limit`.
  ///
  /// Throws `.unavailable` when nobody listens there or the answer takes too long.
  static func open(_ path: String, limit: Duration = .seconds(10)) throws -> QMPConnection {
    let deadline = ContinuousClock.now + limit
    var connection = QMPConnection(descriptor: try connect(path, until: deadline), path: path, deadline: deadline)
    guard case .greeting = try connection.read() else {
      throw HypervisorError(.failed, "\(path) is no QEMU monitor: it did not greet")
    }
    try connection.execute("qmp_capabilities")
    return connection
  }

  private init(descriptor: CInt, path: String, deadline: ContinuousClock.Instant) {
    (self.descriptor, self.path, self.deadline) = (descriptor, path, deadline)
  }

  deinit { close(descriptor) }

  /// Does `command` and answers what QEMU returned. Events in between are passed over. Throws `.failed` with QEMU's text
  /// when QEMU refuses, `.unavailable` when the connection breaks or takes too long.
  @discardableResult
  mutating func execute(_ command: String, _ arguments: JSONValue? = nil) throws -> JSONValue {
    try send(QMPMessage.command(command, arguments))
    while true {
      switch try read() {
      case .answer(let value): return value
      case .refusal(let kind, let text): throw HypervisorError(.failed, "QEMU refused \(command): \(text) (\(kind))")
      case .event, .greeting: continue
      }
    }
  }

  private func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      try wait(for: POLLOUT)
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, CInt(MSG_NOSIGNAL))
      }
      if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard count > 0 else { throw broken("cannot be written to: \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  private mutating func read() throws -> QMPMessage {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer.removeFirst(end + 1) }
        return try QMPMessage(line: buffer[..<end])
      }
      guard buffer.count < Self.longestLine else { throw broken("sent a line without end") }
      try wait(for: POLLIN)
      var chunk = [UInt8](repeating: 0, count: 64 << 10)
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard count > 0 else { throw broken("was closed") }
      buffer += chunk[..<count]
    }
  }

  private func wait(for events: CInt) throws {
    let left = deadline - .now
    let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
    var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    guard milliseconds > 0, poll(&request, 1, CInt(min(milliseconds, 1 << 30))) != 0 else {
      throw broken("did not answer in time")
    }
  }

  private func broken(_ what: String) -> HypervisorError {
    HypervisorError(.unavailable, "QEMU's monitor \(path) \(what); the machine or storage daemon behind it may be gone")
  }

  /// Never waits in the kernel: QEMU takes few connections at a time, and one that hangs takes none, without an error.
  private static func connect(_ path: String, until deadline: ContinuousClock.Instant) throws -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count <= StateFolder.longestSocketPath else {
      throw HypervisorError(.invalid, "the socket path \(path) is longer than \(StateFolder.longestSocketPath) bytes")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_UNIX, CInt(type), 0)
    guard descriptor >= 0 else {
      throw HypervisorError(.unavailable, "no socket could be made: \(String(cString: strerror(errno)))")
    }
    var connected: CInt = -1
    while true {
      connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      guard connected != 0, errno == EAGAIN || errno == EINTR, deadline > .now else { break }
      usleep(20_000)
    }
    guard connected == 0 else {
      let why = String(cString: strerror(errno))
      close(descriptor)
      throw HypervisorError(.unavailable, "QEMU's monitor \(path) does not answer: \(why)")
    }
    return descriptor
  }
}
