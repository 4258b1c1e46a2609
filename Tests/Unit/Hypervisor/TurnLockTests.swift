import Synchronization
import Testing

@testable import Hypervisor

@Suite(.timeLimit(.minutes(1))) struct TurnLockTests {
  private final class Inside: Sendable {
    private let counts = Mutex((now: 0, most: 0, total: 0))
    var most: Int { counts.withLock { $0.most } }
    var total: Int { counts.withLock { $0.total } }

    func enter() {
      counts.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
        $0.total += 1
      }
    }
    func leave() { counts.withLock { $0.now -= 1 } }
  }

  @Test func `turns never overlap`() async {
    let lock = TurnLock()
    let inside = Inside()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<200 {
        group.addTask {
          await lock.withTurn {
            inside.enter()
            await Task.yield()
            inside.leave()
          }
        }
      }
    }
    #expect(inside.most == 1)
    #expect(inside.total == 200)
  }

  @Test func `a turn that throws is given up`() async throws {
    let lock = TurnLock()
    await #expect(throws: CancellationError.self) { try await lock.withTurn { throw CancellationError() } }
    #expect(await lock.withTurn { 7 } == 7)
  }
}
