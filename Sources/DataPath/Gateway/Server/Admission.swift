import Synchronization
import Wire

/// Bounds the bytes that requests hold in memory: for each session, and for all together.
///
/// A session beyond its own budget is told to come back. Where the gateway's budget is used up requests wait, and as room
/// comes free the sessions are served in turn, one request each: a session with many requests does not starve one with few.
final class Admission: Sendable {
  private struct Waiter {
    var ticket: UInt64
    var bytes: Int
    var continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var used = 0
    var sessions: [String: Int] = [:]
    var queues: [String: [Waiter]] = [:]
    /// Sessions with a queue, the next to be served first.
    var turn: [String] = []
    var nextTicket: UInt64 = 0
  }

  /// Most bytes of one session, and of all.
  let perSession: Int
  let total: Int
  private let state = Mutex(State())

  init(perSession: Int, total: Int) {
    (self.perSession, self.total) = (perSession, max(total, perSession))
  }

  /// Bytes in use by all sessions.
  var used: Int { state.withLock { $0.used } }

  /// Requests that wait for room.
  var waiting: Int { state.withLock { $0.queues.values.reduce(0) { $0 + $1.count } } }

  /// Runs `body` while `bytes` count as held by `session`; waiting requests count as well.
  ///
  /// - Throws: `Problem` `busy` where the session's budget does not suffice; what `body` throws.
  func hold<T: Sendable>(_ bytes: Int, for session: String, _ body: () async throws -> T) async throws -> T {
    try take(bytes, session)
    defer { release(bytes, session) }
    await withCheckedContinuation { continuation in
      let admitted = state.withLock { state in
        if state.turn.isEmpty, state.used + bytes <= total {
          state.used += bytes
          return true
        }
        state.nextTicket += 1
        if state.queues[session] == nil { state.turn.append(session) }
        state.queues[session, default: []].append(
          Waiter(ticket: state.nextTicket, bytes: bytes, continuation: continuation))
        return false
      }
      if admitted { continuation.resume() }
    }
    return try await body()
  }

  /// Counts more bytes for a request that is admitted already, without waiting, as it holds bytes others wait for.
  ///
  /// - Throws: `Problem` `busy` where the session's budget does not suffice; what `body` throws.
  func holdMore<T: Sendable>(_ bytes: Int, for session: String, _ body: () async throws -> T) async throws -> T {
    try take(bytes, session)
    state.withLock { $0.used += bytes }
    defer { release(bytes, session) }
    return try await body()
  }

  private func take(_ bytes: Int, _ session: String) throws(Problem) {
    try state.withLock { state throws(Problem) in
      let held = state.sessions[session, default: 0]
      guard held + bytes <= perSession else { throw .busy("the session has \(held) bytes under way") }
      state.sessions[session] = held + bytes
    }
  }

  private func release(_ bytes: Int, _ session: String) {
    let admitted = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.used -= bytes
      let held = state.sessions[session, default: 0] - bytes
      state.sessions[session] = held > 0 ? held : nil
      var admitted: [CheckedContinuation<Void, Never>] = []
      while let next = state.turn.first, let waiter = state.queues[next]?.first, state.used + waiter.bytes <= total {
        state.used += waiter.bytes
        admitted.append(waiter.continuation)
        state.turn.removeFirst()
        state.queues[next]?.removeFirst()
        if state.queues[next]?.isEmpty ?? true { state.queues[next] = nil } else { state.turn.append(next) }
      }
      return admitted
    }
    for continuation in admitted { continuation.resume() }
  }
}
