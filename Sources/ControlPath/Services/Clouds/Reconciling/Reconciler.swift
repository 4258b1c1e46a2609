import Foundation
import Logging
import Providers
import ServiceKit
import ServiceLifecycle
import Synchronization
import Wire

/// Brings the providers to what the ledger wants, one step of one object at a time. Every step may be repeated, so a
/// crash anywhere costs at most one step again.
final class Reconciler: Service {
  /// Its pace; tests make it fast.
  struct Pace: Sendable {
    /// Seconds between two looks at the ledger when nothing pokes it.
    var tick = 0.5
    var backoff = Backoff(base: 0.25, ceiling: 30)
    /// Seconds between two looks at a running machine, or at something in the making.
    var poll = 1.0
    /// Seconds for which a deleted object must stay unseen: providers show new objects late.
    var grace = 5.0
    /// Failed attempts after which an object that nobody can mend from outside is given up.
    var attempts = 30
  }

  let ledger: Ledger
  let targets: Targets
  let pace: Pace
  let logger: Logger
  private let pokes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  /// Keys with a step under way, so that a slow one is not begun twice.
  private let busy = Mutex<Set<String>>([])

  init(ledger: Ledger, targets: Targets, pace: Pace, logger: Logger) {
    (self.ledger, self.targets, self.pace, self.logger) = (ledger, targets, pace, logger)
  }

  /// Something changed: look now.
  func poke() { pokes.continuation.yield() }

  func run() async throws {
    try await cancelWhenGracefulShutdown { [self] in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          while !Task.isCancelled {
            try await Task.sleep(for: .seconds(self.pace.tick))
            self.poke()
          }
        }
        group.addTask { try await self.loop() }
        do { try await group.waitForAll() } catch is CancellationError {}
      }
    }
  }

  private func loop() async throws {
    try await withThrowingDiscardingTaskGroup { group in
      for await _ in pokes.stream {
        if Task.isCancelled { break }
        let rows: [LedgerRow]
        do { rows = try await ledger.due(limit: 64) } catch {
          logger.error("ledger cannot be read", metadata: ["error": "\(error)"])
          continue
        }
        for row in rows where busy.withLock({ $0.insert(row.key).inserted }) {
          group.addTask {
            defer { _ = self.busy.withLock { $0.remove(row.key) } }
            await self.step(row)
          }
        }
      }
      group.cancelAll()
    }
  }

  /// One step of one object; what goes wrong is written beside it.
  private func step(_ row: LedgerRow) async {
    do {
      let provider = try await targets.provider(tenant: row.tenant, id: row.target)
      if row.wanted { try await advance(row, provider) } else { try await dismantle(row, provider) }
    } catch {
      if error is CancellationError || Task.isCancelled { return }
      do { try await record(error, on: row) } catch {
        logger.error("ledger cannot be written", metadata: ["object.key": "\(row.key)", "error": "\(error)"])
      }
    }
  }

  private func record(_ error: any Error, on row: LedgerRow) async throws {
    let failure = StepFailure(error)
    let attempts = row.attempts + 1
    let hopeless = row.wanted && (failure.isFinal || (failure.givesUp && attempts >= pace.attempts))
    let delay = pace.backoff.delay(after: attempts)
    logger.notice(
      "step failed",
      metadata: [
        "object.kind": "\(row.kind.rawValue)", "object.id": "\(row.id)", "object.key": "\(row.key)",
        "tenant": "\(row.tenant)", "attempt": "\(attempts)", "failed": "\(hopeless)", "error": "\(error)"
      ])
    let (problem, time) = (try LedgerRow.encoded(failure.problem), ledger.now())
    try await ledger.update(row) { row in
      (row.attempts, row.nextAt, row.problem) = (attempts, time + delay, problem)
      if hopeless {
        if row.state != .ready { row.state = .failed }
        row.power = nil
      }
    }
  }
}
