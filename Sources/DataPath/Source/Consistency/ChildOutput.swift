internal import Glibc

/// The end of what a child process prints, gathered while waiting for it.
final class ChildOutput {
  private static let keep = 64 << 10

  private let descriptor: Int32
  private var bytes: [UInt8] = []

  /// - Parameter descriptor: the reading end of the pipe, not blocking.
  init(_ descriptor: Int32) { self.descriptor = descriptor }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// The exit status of `process` (128 + signal where one ended it), or nil where `limit` passed: then it and its group
  /// are killed.
  func wait(for process: pid_t, limit: Duration) -> Int32? {
    let deadline = ContinuousClock.now + limit
    var status: Int32 = 0
    while true {
      let done = waitpid(process, &status, WNOHANG)
      drain()
      if done == process { return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f }
      if done < 0 && errno != EINTR { return 127 }
      if ContinuousClock.now >= deadline { break }
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      poll(&waiting, 1, 20)
      // A pipe without writers polls ready at once.
      if waiting.revents & Int16(POLLIN) == 0 && waiting.revents != 0 { usleep(5000) }
    }
    kill(-process, SIGKILL)
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    drain()
    return nil
  }

  private func drain() {
    var buffer = [UInt8](repeating: 0, count: Self.keep)
    while true {
      let got = read(descriptor, &buffer, buffer.count)
      guard got > 0 else { return }
      bytes.append(contentsOf: buffer[..<got])
      if bytes.count > Self.keep { bytes.removeFirst(bytes.count - Self.keep) }
    }
  }
}
