import FoundationEssentials
public import Logging
import Logs
import NIOPosix
public import ServiceLifecycle
import Synchronization
import Transport
import Wire

/// The agent as it runs: asks for commands, performs them, reports. Nobody ever connects to it.
public final class AgentService: Service {
  private struct State {
    /// Reports of commands that ended: sent again where the service did not hear.
    var ended: [String: AgentReport] = [:]
    var running: Set<String> = []
    var isUninstalled = false
  }

  private let service: ServiceClient
  private let client: SecureClient
  private let machine: any SourceMachine
  private let runner: SyncRunner
  private let pool: NIOThreadPool
  private let logger: Logger
  private let wait: Int
  private let state = Mutex(State())

  /// - Parameters:
  ///   - wait: seconds that the service may hold a poll.
  ///   - memory: `AgentPlaces.memory` where the machine's tracking outlives this process.
  public init(
    identity: Identity, machine: any SourceMachine, logger: Logger, wait: Int = 50, memory: String? = nil
  ) throws {
    let key = try identity.key()
    let group = MultiThreadedEventLoopGroup.singleton
    client = try SecureClient(settings: identity.connection, key: key, group: group, connections: 3)
    service = ServiceClient(client: client, base: identity.server, credential: identity.credential)
    pool = NIOThreadPool(numberOfThreads: 4)
    runner = SyncRunner(connection: identity.connection, key: key, group: group, pool: pool, memory: memory)
    (self.machine, self.logger, self.wait) = (machine, logger, wait)
  }

  /// Polls until it is told to stop, or has uninstalled itself.
  public func run() async throws {
    pool.start()
    await cancelWhenGracefulShutdown { [self] in
      await withDiscardingTaskGroup { tasks in
        var backoff = Backoff(first: 1, longest: 120)
        while !Task.isCancelled, !state.withLock({ $0.isUninstalled }) {
          do {
            let isNew = accept(try await service.commands(wait: wait), in: &tasks)
            backoff.reset()
            // A service that answers at once with what we know already is not asked in a tight loop.
            if !isNew { try await Task.sleep(for: .seconds(.random(in: 0.5...1.5))) }
          } catch is CancellationError { break } catch {
            let pause = backoff.next()
            if !Task.isCancelled {
              logger.warning("commands cannot be fetched", error: error, metadata: ["retry.after": "\(pause)"])
            }
            try? await Task.sleep(for: pause)
          }
        }
        tasks.cancelAll()
      }
    }
    try await client.shutdown()
    try await pool.shutdownGracefully()
  }

  /// Starts what is new. Returns whether anything was.
  private func accept(_ commands: [ReceivedCommand], in tasks: inout DiscardingTaskGroup) -> Bool {
    var isNew = false
    for command in commands {
      let (isRunning, ended) = state.withLock { state in
        (!state.running.insert(command.id).inserted, state.ended[command.id])
      }
      if isRunning {
        if case .sync(let sync) = command.body { runner.renew(command: command.id, grant: sync.grant) }
        continue
      }
      isNew = true
      tasks.addTask { [self] in
        let report: AgentReport
        if let ended { report = ended } else { report = await perform(command) }
        // A final sync that is not decided goes on in a later life, which must find its command open.
        if report.sourceRuns == false { return }
        await deliver(report)
        state.withLock { state in
          state.running.remove(command.id)
          state.ended[command.id] = report
        }
        if case .uninstall = command.body, report.state == .done { await uninstall() }
      }
    }
    return isNew
  }

  private func perform(_ command: ReceivedCommand) async -> AgentReport {
    logger.info("command begins", metadata: ["command.id": "\(command.id)"])
    let report: AgentReport
    do {
      switch command.body {
      case .sync(let sync): report = try await run(sync, id: command.id)
      case .cancel(let other, nil):
        let refusal = runner.cancel(command: other)
        report = AgentReport(
          command: command.id, state: refusal == nil ? .done : .refused, failure: refusal?.reported)
      case .cancel(let other, let conclusion?):
        runner.conclude(command: other, conclusion)
        // Until that sync has ended a later life of this agent must be told again.
        while state.withLock({ $0.running.contains(other) }) { try await Task.sleep(for: .milliseconds(200)) }
        report = AgentReport(command: command.id, state: .done)
      case .rehearse:
        let rehearsal = try await pool.runIfActive { [machine] in try machine.rehearse() }
        report = AgentReport(command: command.id, state: .done, rehearsal: rehearsal)
      case .describe:
        let found = try await pool.runIfActive { [machine] in try machine.describe() }
        report = AgentReport(command: command.id, state: .done, machine: found)
      case .uninstall: report = AgentReport(command: command.id, state: .done)
      case nil:
        report = AgentReport(
          command: command.id, state: .refused,
          failure: .init(
            code: "unknown_command", message: "agent \(Enrolment.version) does not know this command; upgrade it"))
      }
    } catch {
      let failure = (error as? SyncFailure)?.reported ?? .init(code: "agent_error", message: "\(error)")
      report = AgentReport(command: command.id, state: .failed, failure: failure)
    }
    logger.info(
      "command ended",
      metadata: [
        "command.id": "\(command.id)", "state": "\(report.state.rawValue)",
        "failure": "\(report.failure?.message ?? "")"
      ])
    return report
  }

  private func run(_ sync: SyncCommand, id: String) async throws -> AgentReport {
    let hasCommitted = sync.final && machine.hasCommitted(session: sync.session)
    return await runner.run(
      sync, id: id, source: try await source(of: sync, insists: hasCommitted), hasCommitted: hasCommitted,
      hush: { StandardError.hold($0) },
      report: { [self] report in
        // How it goes may get lost. How a final sync ended may not: afterwards this machine says nothing any more, and
        // as it is frozen, waiting loses nothing.
        if report.state == .running {
          try? await service.report(report)
        } else {
          await deliver(report, insists: sync.final)
        }
      })
  }

  /// - Parameter insists: tries until it comes about: nothing but the sync can end a source that is frozen.
  private func source(of sync: SyncCommand, insists: Bool) async throws -> any SyncSource {
    var backoff = Backoff(first: 1, longest: 60)
    while true {
      do {
        return try await pool.runIfActive { [machine] in
          try machine.source(
            disks: sync.disks, identities: sync.identities, migration: sync.migration, session: sync.session)
        }
      } catch {
        guard insists, !Task.isCancelled else { throw error }
        try await Task.sleep(for: backoff.next())
      }
    }
  }

  /// Reports until it is heard, or refused.
  /// - Parameter insists: goes on after a refusal, too.
  private func deliver(_ report: AgentReport, insists: Bool = false) async {
    var backoff = Backoff(first: 0.5, longest: 60)
    while true {
      do { return try await service.report(report) } catch let error as TransportError {
        if !error.isTransient && !insists {
          logger.error(
            "a report was refused", metadata: ["command.id": "\(report.command)", "reason": "\(error)"])
          return
        }
        guard (try? await Task.sleep(for: backoff.next())) != nil else { return }
      } catch { return }
    }
  }

  private func uninstall() async {
    do {
      try await pool.runIfActive { [machine] in try machine.uninstall() }
      logger.info("the agent removed itself from this machine")
    } catch { logger.error("the agent could not remove itself", metadata: ["reason": "\(error)"]) }
    state.withLock { $0.isUninstalled = true }
  }
}
