import Synchronization
import Testing

@testable import Transport

@Suite("The time as a server tells it")
struct ServerTimeTests {
  @Test("An own clock that is wrong, or set at any moment, is made up for")
  func corrected() {
    let own = Shared(1_000_000)
    let time = ServerTime(own: { own.value.withLock { $0 } })
    #expect(time.now == 1_000_000)
    #expect(!time.correct(by: nil) && !time.correct(by: 1_000_020), "nothing to gain from another proof")
    #expect(time.correct(by: 1_000_300))
    #expect(time.now == 1_000_300)
    #expect(!time.correct(by: 1_000_300), "a second refusal is not for the time")
    own.value.withLock { $0 += 3600 }
    #expect(time.correct(by: 1_000_301))
    #expect(time.now == 1_000_301)
  }

  @Test("A server whose time is more than a day away is not believed")
  func bounded() {
    let time = ServerTime(own: { 1_000_000 })
    #expect(!time.correct(by: 1_000_000 + 86_401) && !time.correct(by: 0))
    #expect(time.correct(by: 1_000_000 - 86_400))
  }

  private final class Shared: Sendable {
    let value: Mutex<Int>
    init(_ value: Int) { self.value = Mutex(value) }
  }
}
