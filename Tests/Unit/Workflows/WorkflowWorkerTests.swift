import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing
import WorkflowSQLite
import Workflows

@Suite(.timeLimit(.minutes(2)))
struct WorkflowWorkerTests {
  struct Count: Codable, Sendable {
    var value = 0
    var failed = ""
  }

  /// A store in a folder of its own, and how often each step ran.
  final class Fixture: Sendable {
    let folder: URL
    let store: SQLiteWorkflowStore
    let runs = Mutex<[String: Int]>([:])

    init() throws {
      folder = FileManager.default.temporaryDirectory.appending(path: "godwit-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      store = try SQLiteWorkflowStore.open(path: folder.appending(path: "w.sqlite").path)
    }
    deinit { try? FileManager.default.removeItem(at: folder) }

    @discardableResult func ran(_ step: String) -> Int {
      runs.withLock {
        $0[step, default: 0] += 1
        return $0[step, default: 0]
      }
    }

    func worker(_ workflow: Workflow<Count>, faults: FaultPoints = .none, lease: Double = 30) -> WorkflowWorker {
      var catalog = WorkflowCatalog()
      catalog.add(workflow)
      return WorkflowWorker(
        store: store, catalog: catalog,
        configuration: .init(owner: UUID().uuidString, pollInterval: 0.01, leaseSeconds: lease), random: { 0 },
        faults: faults, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Runs a worker until the workflow has ended.
    func outcome(_ worker: WorkflowWorker, _ id: String) async throws -> WorkflowRecord {
      try await withThrowingTaskGroup(of: WorkflowRecord?.self) { group in
        group.addTask {
          try await worker.run()
          return nil
        }
        group.addTask {
          while true {
            if let record = try await self.store.workflow(id), record.outcome != nil { return record }
            try await Task.sleep(for: .milliseconds(5))
          }
        }
        defer { group.cancelAll() }
        while let record = try await group.next() {
          if let record { return record }
        }
        throw CancellationError()
      }
    }
  }

  static let quick = RetryPolicy(attempts: 3, base: 0.01, cap: 0.01)

  @Test func `Steps run in turn, and a step that throws is tried again from the state before it`() async throws {
    let fixture = try Fixture()
    let workflow = Workflow<Count>(kind: "k", first: "one")
      .step("one", retry: Self.quick) { state, _ in
        state.value += 1
        if fixture.ran("one") < 3 { throw CancellationError() }
        return .next("two")
      }
      .step("two") { state, context in
        state.value += 10
        return state.value < 30 ? context.again(in: 0.01) : .done
      }
    let worker = fixture.worker(workflow)
    try await worker.start("k", id: "w", tenant: "t", state: Count())
    let end = try await fixture.outcome(worker, "w")
    #expect(end.outcome == .done)
    #expect(end.state == #"{"failed":"","value":31}"#, "what a failed attempt did to the state is gone")
    #expect(fixture.runs.withLock { $0["one"] } == 3)
  }

  @Test func `A step that fails for good goes to the clean-up once, and its problem is kept`() async throws {
    let fixture = try Fixture()
    let problem = WorkflowProblem(code: "c", detail: "d", remedy: "r")
    let workflow = Workflow<Count>(kind: "k", first: "one", onFailure: "clean")
      .step("one", retry: Self.quick) { _, _ in
        fixture.ran("one")
        throw problem
      }
      .step("clean", retry: .init(attempts: nil, base: 0.01, cap: 0.01)) { state, context in
        if fixture.ran("clean") < 5 { throw CancellationError() }
        state.failed = context.problem?.code ?? ""
        return .failed(WorkflowProblem(code: "other", detail: "", remedy: ""))
      }
    let worker = fixture.worker(workflow)
    try await worker.start("k", id: "w", tenant: "t", state: Count())
    let end = try await fixture.outcome(worker, "w")
    #expect(end.outcome == .failed)
    #expect(end.problem == problem)
    #expect(end.state.contains(#""failed":"c""#))
    #expect(fixture.runs.withLock { $0["one"] } == 1, "a permanent failure is not tried again")
  }

  @Test(
    "Killed around a commit, a step runs twice before it and once after it",
    arguments: [(FaultPoint.When.before, 2), (.after, 1)])
  func killed(_ when: FaultPoint.When, _ times: Int) async throws {
    let fixture = try Fixture()
    let workflow = Workflow<Count>(kind: "k", first: "one")
      .step("one") { state, _ in
        fixture.ran("one")
        state.value += 1
        return .next("two")
      }
      .step("two") { _, _ in .done }
    let hit = Mutex(0)
    let faults = FaultPoints { point in
      guard point == FaultPoint("k.one", when) else { return }
      hit.withLock { $0 += 1 }
      throw FaultPoints.Abandoned()
    }
    let doomed = fixture.worker(workflow, faults: faults, lease: 3)
    try await doomed.start("k", id: "w", tenant: "t", state: Count())
    await #expect(throws: FaultPoints.Abandoned.self) { try await doomed.run() }
    #expect(hit.withLock { $0 } == 1)
    let end = try await fixture.outcome(fixture.worker(workflow), "w")
    #expect(end.state.contains(#""value":1"#))
    #expect(fixture.runs.withLock { $0["one"] } == times)
  }

  @Test func `Workers that are started and stopped over and over lose nothing and do nothing twice`() async throws {
    let fixture = try Fixture()
    let workflow = Workflow<Count>(kind: "k", first: "count").step("count") { state, context in
      fixture.ran("\(context.id)-\(state.value)")
      state.value += 1
      return state.value < 40 ? .next("count") : .done
    }
    let starter = fixture.worker(workflow)
    for n in 0..<10 { try await starter.start("k", id: "w\(n)", tenant: "t", state: Count()) }
    var stops = 0
    while try await !fixture.store.unfinished(kinds: ["k"]).isEmpty {
      let group = ServiceGroup(
        configuration: .init(
          services: [fixture.worker(workflow), fixture.worker(workflow)],
          logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
      let target = min((stops + 1) * 20, 400)
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        tasks.addTask {
          while fixture.runs.withLock({ $0.count }) < target { try await Task.sleep(for: .milliseconds(1)) }
          await group.triggerGracefulShutdown()
        }
        try await tasks.waitForAll()
      }
      stops += 1
    }
    let runs = fixture.runs.withLock { $0 }
    #expect(runs.count == 400)
    #expect(runs.values.allSatisfy { $0 == 1 }, "a graceful stop commits what it ran")
    #expect(stops > 1)
  }
}
