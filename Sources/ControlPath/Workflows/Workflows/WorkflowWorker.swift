import Foundation
public import Logging
public import ServiceLifecycle
import Synchronization

/// Runs the workflows of a store: claims what is due, runs one step, commits. Looks for work when signalled and at an
/// interval, as change notices do not cross processes. Ends by graceful shutdown: running steps are brought to their
/// end and committed.
public struct WorkflowWorker: Service {
  public struct Configuration: Sendable {
    /// Names this worker in leases.
    public var owner: String
    /// Steps that may run at once.
    public var concurrency: Int
    /// Seconds between two looks at the store.
    public var pollInterval: Double
    /// Seconds of a lease; renewed at a third of it while a step runs.
    public var leaseSeconds: Double
    public init(owner: String, concurrency: Int = 8, pollInterval: Double = 0.5, leaseSeconds: Double = 30) {
      (self.owner, self.concurrency) = (owner, concurrency)
      (self.pollInterval, self.leaseSeconds) = (pollInterval, leaseSeconds)
    }
  }

  let store: any WorkflowStore
  let catalog: WorkflowCatalog
  let configuration: Configuration
  let clock: WorkflowClock
  /// 0..<1, for the jitter of retries.
  let random: @Sendable () -> Double
  let faults: FaultPoints
  let onStep: @Sendable (FinishedStep) -> Void
  let logger: Logger
  private let signals: AsyncStream<Void>
  private let signal: AsyncStream<Void>.Continuation

  /// - Parameter onStep: told of each step once it is committed.
  public init(
    store: any WorkflowStore, catalog: WorkflowCatalog, configuration: Configuration,
    clock: WorkflowClock = .system, random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
    faults: FaultPoints = .none, onStep: @escaping @Sendable (FinishedStep) -> Void = { _ in }, logger: Logger
  ) {
    (self.store, self.catalog, self.configuration, self.clock) = (store, catalog, configuration, clock)
    (self.random, self.faults, self.onStep, self.logger) = (random, faults, onStep, logger)
    (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Creates a workflow of a kind in the catalog, due at once, unless the id exists already.
  public func start(_ kind: String, id: String, tenant: String, state: some Encodable & Sendable) async throws {
    guard let entry = catalog.entries[kind] else {
      throw WorkflowProblem(
        code: "unknown_kind", detail: "There is no workflow of kind \(kind).", remedy: "Add it to the catalog.")
    }
    let now = clock.now()
    _ = try await store.insert(
      WorkflowRecord(
        id: id, kind: kind, tenant: tenant, step: entry.first, state: encode(state), wakeAt: now, createdAt: now,
        updatedAt: now))
    signal.yield()
  }

  /// Makes a workflow due and looks for work at once.
  public func wake(_ id: String) async throws {
    try await store.wake(id, now: clock.now())
    signal.yield()
  }

  public func requestCancel(_ id: String) async throws {
    try await store.requestCancel(id, now: clock.now())
    signal.yield()
  }

  public func run() async throws {
    signal.yield()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await tick() }
      defer { group.cancelAll() }
      try await withGracefulShutdownHandler {
        try await work()
      } onGracefulShutdown: {
        signal.finish()
      }
    }
  }

  private func tick() async {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do { try await clock.sleep(configuration.pollInterval) } catch { return }
        signal.yield()
      }
    }
  }

  private func work() async throws {
    let slots = Slots()
    try await withThrowingDiscardingTaskGroup { group in
      for await _ in signals {
        // Work that is due without end must not keep a worker from stopping.
        while !Task.isShuttingDownGracefully, slots.taken() < configuration.concurrency, let record = await claim() {
          slots.change(by: 1)
          group.addTask {
            defer {
              slots.change(by: -1)
              signal.yield()
            }
            do { try await perform(record) } catch {
              // The loop beside this task does not see its error; it ends with the signals.
              signal.finish()
              throw error
            }
          }
        }
      }
    }
  }

  private func claim() async -> WorkflowRecord? {
    let now = clock.now()
    do {
      return try await store.claim(
        kinds: catalog.kinds, owner: configuration.owner, now: now,
        until: now.addingTimeInterval(configuration.leaseSeconds))
    } catch {
      logger.error("workflow.claim.failed", metadata: ["error": "\(error)"])
      return nil
    }
  }
}

/// A step that ran and was committed.
public struct FinishedStep: Hashable, Sendable {
  public enum Result: String, Sendable {
    case done, failed
    /// What it waits for is not there yet; it runs again.
    case waiting
  }
  public var kind: String
  public var step: String
  public var result: Result
}

/// How many steps run: changed by the steps' own tasks, hence the lock.
private final class Slots: Sendable {
  private let count = Mutex(0)
  func taken() -> Int { count.withLock { $0 } }
  func change(by difference: Int) { count.withLock { $0 += difference } }
}
