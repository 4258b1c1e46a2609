import Synchronization
import Testing
import Wire

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct AdmissionTests {
  @Test func `a session beyond its budget is told to come back, others are not`() async throws {
    let admission = Admission(perSession: 10, total: 100)
    try await admission.hold(8, for: "a") {
      do {
        try await admission.hold(3, for: "a") {}
        Issue.record("the budget was exceeded")
      } catch let problem as Problem { #expect(problem.code == "busy") }
      try await admission.hold(10, for: "b") {}
    }
    #expect(admission.used == 0)
    try await admission.hold(10, for: "a") {}
  }

  @Test func `waiting sessions are served in turn, however long their queues`() async throws {
    let admission = Admission(perSession: 96, total: 96)
    let order = Served()
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    // 80 units stay held, so that of the requests that wait for 16 one runs at a time, and the order is what was admitted.
    try await admission.hold(80, for: "background") {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await admission.hold(16, for: "first") { for await _ in gate { break } } }
        while admission.used < 96 { await Task.yield() }
        // Six requests of a greedy session queue up before one of a modest session.
        for index in 0..<7 {
          let session = index == 6 ? "modest" : "greedy"
          group.addTask { try await admission.hold(16, for: session) { order.append(session) } }
          while admission.waiting < index + 1 { await Task.yield() }
        }
        open.yield()
        try await group.waitForAll()
      }
    }
    #expect(order.sessions == ["greedy", "modest"] + Array(repeating: "greedy", count: 5))
    #expect(admission.used == 0)
  }

  @Test func `proofs are remembered as long as they live, and no longer`() {
    let cache = ReplayCache(now: 0, limit: 3)
    #expect(cache.use("a", of: "k", now: 10) == .first)
    #expect(cache.use("a", of: "k", now: 20) == .used)
    #expect(cache.use("a", of: "other", now: 20) == .first)
    #expect(cache.use("a", of: "k", now: 605) == .used)
    #expect(cache.use("b", of: "k", now: 606) == .first)
    #expect(cache.use("c", of: "k", now: 607) == .first)
    #expect(cache.use("d", of: "k", now: 608) == .first)
    #expect(cache.use("e", of: "k", now: 609) == .full)
    #expect(cache.use("a", of: "k", now: 3000) == .first)
  }
}

/// The sessions that were let in, in order.
private final class Served: Sendable {
  private let names = Mutex<[String]>([])
  var sessions: [String] { names.withLock { $0 } }
  func append(_ session: String) { names.withLock { $0.append(session) } }
}
