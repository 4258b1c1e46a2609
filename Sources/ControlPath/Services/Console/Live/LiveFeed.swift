import ServiceKit
import Synchronization
import Wire

/// One topic of one tenant that somebody looks at: read once a second for all who do.
final class LiveFeed: Sendable {
  struct Key: Hashable, Sendable {
    var tenant: String
    var topic: LiveTopic
  }

  /// One open stream.
  struct Reader: Sendable {
    let api: TenantAPI
    let tell: AsyncStream<String>.Continuation
  }

  /// Messages that a slow reader may be behind before its stream is ended; it comes back and resumes.
  static let queue = 64
  private struct Inside {
    var state = State()
    var readers: [Int: Reader] = [:]
    var nextReader = 0
    var closed = false
  }
  let key: Key
  private let inside = Mutex(Inside())

  init(_ key: Key) { self.key = key }

  /// A stream of event text; nil where the feed has ended meanwhile.
  func join(_ api: TenantAPI, after lastEventID: String?) throws -> (id: Int, stream: AsyncStream<String>)? {
    let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(Self.queue))
    let id = try inside.withLock { inside -> Int? in
      guard !inside.closed else { return nil }
      continuation.yield("retry: 2000\n\n")
      for message in try inside.state.greeting(lastEventID) { continuation.yield(message.text) }
      inside.nextReader += 1
      inside.readers[inside.nextReader] = Reader(api: api, tell: continuation)
      return inside.nextReader
    }
    return id.map { ($0, stream) }
  }

  func leave(_ id: Int) { inside.withLock { $0.readers.removeValue(forKey: id) }?.tell.finish() }

  /// Whether nobody looks any more: then nobody can join either.
  func closeIfIdle() -> Bool {
    inside.withLock { inside in
      if inside.readers.isEmpty { inside.closed = true }
      return inside.closed
    }
  }

  func closeAll() {
    let readers = inside.withLock { inside in
      inside.closed = true
      defer { inside.readers = [:] }
      return Array(inside.readers.values)
    }
    for reader in readers { reader.tell.finish() }
  }

  var readers: [Int: Reader] { inside.withLock { $0.readers } }

  func publish(_ values: [String: LiveValue]) throws {
    try inside.withLock { inside in
      let isFirst = inside.state.isEmpty
      guard let delta = try inside.state.take(values) else { return }
      let text = isFirst ? try inside.state.greeting(nil).map(\.text).joined() : delta.text
      Self.tell(text, &inside)
    }
  }

  func ping() { inside.withLock { Self.tell(": ping\n\n", &$0) } }

  private static func tell(_ text: String, _ inside: inout Inside) {
    for (id, reader) in inside.readers {
      guard case .enqueued = reader.tell.yield(text) else {
        reader.tell.finish()
        inside.readers[id] = nil
        continue
      }
    }
  }
}
