import Synchronization

/// Which parts still have to say that they run.
final class Readiness: Sendable {
  private let missing: Mutex<Set<String>>
  private let done = AsyncStream.makeStream(of: Void.self)

  init(of parts: Set<String>) { missing = Mutex(parts) }

  func mark(_ part: String) {
    let all = missing.withLock { missing in
      missing.remove(part)
      return missing.isEmpty
    }
    if all { done.continuation.yield() }
  }

  /// True once all parts run; false when the task is cancelled before. Waited for once.
  func wait() async -> Bool {
    for await _ in done.stream { return true }
    return false
  }
}
