import Glibc

/// How long the machine's own writes take on a disk, from the kernel's counters. We never write to it, so these are the
/// owner's alone; reads would be mixed with ours.
struct DiskLatency: Sendable {
  /// `/sys/block/NAME/stat`
  let path: String
  private var last: Counters?

  struct Counters: Equatable, Sendable {
    var writes: UInt64
    /// Milliseconds, over all writes.
    var writeTime: UInt64

    /// - Parameter text: the content of a `stat` file: at least eight numbers.
    init?(parsing text: some StringProtocol) {
      let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
      guard fields.count >= 8, let writes = UInt64(fields[4]), let time = UInt64(fields[7]) else { return nil }
      (self.writes, writeTime) = (writes, time)
    }
  }

  init(disk: String) { path = "/sys/block/\(disk)/stat" }

  /// Milliseconds a write took on average since the last call; nil where there was none, or no such counters.
  mutating func sample() -> Double? { advance(to: Self.read(path)) }

  mutating func advance(to now: Counters?) -> Double? {
    defer { last = now }
    guard let now, let last, now.writes > last.writes, now.writeTime >= last.writeTime else { return nil }
    return Double(now.writeTime - last.writeTime) / Double(now.writes - last.writes)
  }

  private static func read(_ path: String) -> Counters? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let text = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { buffer in
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      return String(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<max(0, count)]), as: UTF8.self)
    }
    return Counters(parsing: text)
  }
}
