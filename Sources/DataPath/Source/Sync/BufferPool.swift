import Blocks
import Synchronization

/// A fixed number of equal buffers: what bounds a sync's memory. Who finds none waits in line.
final class BufferPool: Sendable {
  private struct State {
    var free: [AlignedBuffer]
    var left: Int
    var waiting: [CheckedContinuation<AlignedBuffer, Never>] = []
  }

  private let size: Int
  private let state: Mutex<State>

  /// Buffers are made when first needed.
  /// - Parameters:
  ///   - count: how many there may be.
  ///   - size: bytes in each.
  init(count: Int, size: Int) {
    self.size = size
    state = Mutex(State(free: [], left: count))
  }

  /// Calls `body` with a buffer that is nobody else's meanwhile.
  func withBuffer<Result>(_ body: (AlignedBuffer) async throws -> Result) async rethrows -> Result {
    let buffer = await take()
    defer { give(buffer) }
    return try await body(buffer)
  }

  private func take() async -> AlignedBuffer {
    await withCheckedContinuation { continuation in
      let buffer = state.withLock { state -> AlignedBuffer? in
        if let buffer = state.free.popLast() { return buffer }
        guard state.left > 0 else {
          state.waiting.append(continuation)
          return nil
        }
        state.left -= 1
        return AlignedBuffer(count: size)
      }
      if let buffer { continuation.resume(returning: buffer) }
    }
  }

  private func give(_ buffer: AlignedBuffer) {
    let next = state.withLock { state -> CheckedContinuation<AlignedBuffer, Never>? in
      if !state.waiting.isEmpty { return state.waiting.removeFirst() }
      state.free.append(buffer)
      return nil
    }
    next?.resume(returning: buffer)
  }
}
