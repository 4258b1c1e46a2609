public import NIOCore
public import NIOPosix
import Replication
import Synchronization
public import Transport
public import Wire

/// Runs sync commands: one at a time, from the command to the last report.
public final class SyncRunner: Sendable {
  private let connection: ConnectionSettings
  private let key: AgentKey
  private let group: any EventLoopGroup
  private let pool: NIOThreadPool
  private let patience: SyncPatience
  private let statements: StatementWriter
  private let memories: SyncMemories

  private struct Running {
    let command: String
    /// Nil while the disks are opened.
    var driver: SyncDriver?
    var gateway: GatewayClient?
    /// It was told to stop meanwhile.
    var cancelled: SyncFailure?
  }

  private let running = Mutex<Running?>(nil)

  /// What the gateway has decided, by command: it may be heard before the sync begins.
  private let conclusions = Mutex<[String: AgentCommand.Conclusion]>([:])

  /// Connections to a gateway: one for each frame in flight and some for flushes and claims.
  private static let connections = 6

  /// - Parameters:
  ///   - pool: for what blocks; started by the caller. Four threads keep the queue of a disk filled.
  ///   - memory: file of what pending marks mean; nil where they end with this process.
  public init(
    connection: ConnectionSettings, key: AgentKey, group: any EventLoopGroup, pool: NIOThreadPool,
    memory: String? = nil, patience: SyncPatience = SyncPatience()
  ) {
    (self.connection, self.key, self.group, self.pool) = (connection, key, group, pool)
    self.patience = patience
    memories = SyncMemories(path: memory)
    statements = StatementWriter(key: key, memories: memories)
  }

  /// Runs one sync to its end. Never throws: the report says what became of it.
  ///
  /// - Parameters:
  ///   - id: of the command.
  ///   - source: asked for once no other sync runs here.
  ///   - hasCommitted: an earlier life had requested the seal of this very final sync.
  ///   - report: called every `interval` with how it goes, and for a final sync once more before the power goes off.
  public func run(
    _ command: SyncCommand, id: String, source: @autoclosure @Sendable () async throws -> any SyncSource,
    hasCommitted: Bool = false, interval: Duration = .seconds(2),
    hush: @escaping @Sendable (Bool) -> Void = { _ in }, report: @escaping @Sendable (AgentReport) async -> Void
  ) async -> AgentReport {
    let isFree = running.withLock { running in
      guard running == nil else { return false }
      running = Running(command: id)
      return true
    }
    guard isFree else {
      return AgentReport(
        command: id, state: .refused,
        failure: .init(code: "busy", message: "another sync is running here; wait for its end or cancel it"))
    }
    defer { running.withLock { $0 = nil } }
    let client: SecureClient
    do {
      client = try SecureClient(
        settings: connection, key: key, group: group, connections: Self.connections, silence: patience.silence)
    } catch {
      return AgentReport(
        command: id, state: .failed, failure: .init(code: "bad_settings", message: "\(error)"))
    }
    let final: AgentReport
    do {
      let source = try await source()
      let startedAt = StatementWriter.now()
      let sign: @Sendable (SyncDriver.Result) -> AgentReport = { [statements] result in
        let statement = result.receipt.flatMap {
          statements.statement(command, $0, result.progress, source: source, startedAt: startedAt)
        }
        return Self.report(of: result, command, statement: statement, id: id)
      }
      let driver = driver(
        command, source: source, client: client, hasCommitted: hasCommitted, hush: hush
      ) { result in await report(sign(result)) }
      if let conclusion = conclusions.withLock({ $0[id] }) { driver.conclude(conclusion) }
      let result = await run(driver, id: id, interval: interval, report: report)
      final = sign(result)
      memories.ended(command, sealed: result.receipt != nil, mode: result.progress.mode)
    } catch {
      let failure = error as? SyncFailure ?? SyncFailure(code: "agent_error", message: "\(error)")
      final = AgentReport(command: id, state: .failed, failure: failure.reported)
    }
    try? await client.shutdown()
    return final
  }

  private func driver(
    _ command: SyncCommand, source: any SyncSource, client: SecureClient, hasCommitted: Bool,
    hush: @escaping @Sendable (Bool) -> Void, beforePowerOff: @escaping @Sendable (SyncDriver.Result) async -> Void
  ) -> SyncDriver {
    let gateway = GatewayClient(
      client: client, base: command.gateway, session: command.session, grant: command.grant)
    let driver = SyncDriver(
      source: source, gateway: gateway, key: key, session: command.session, mode: .init(command.mode),
      final: command.final, resumesFinal: hasCommitted, scrub: command.scrub,
      memory: memories[command.migration]?.replica, limits: command.limits, pool: pool,
      settings: settings(command), hush: hush,
      remember: { [memories] driver in try memories.note(command) { driver.remembered } },
      beforePowerOff: beforePowerOff)
    let cancelled = running.withLock { running in
      running?.driver = driver
      running?.gateway = gateway
      return running?.cancelled
    }
    if let cancelled { driver.cancel(cancelled) }
    return driver
  }

  private func run(
    _ driver: SyncDriver, id: String, interval: Duration, report: @escaping @Sendable (AgentReport) async -> Void
  ) async -> SyncDriver.Result {
    await withDiscardingTaskGroup(returning: SyncDriver.Result.self) { tasks in
      tasks.addTask {
        while (try? await Task.sleep(for: interval)) != nil {
          await report(AgentReport(command: id, state: .running, progress: driver.progress))
        }
      }
      let result = await driver.run()
      tasks.cancelAll()
      return result
    }
  }

  /// Stops the sync of `command`. Nil where it will end; else why not: it does not run, or its final seal was requested.
  public func cancel(command: String) -> SyncFailure? {
    let reason = SyncFailure(code: "cancelled", message: "the sync was cancelled by command")
    let found = running.withLock { running -> Running? in
      guard running?.command == command else { return nil }
      running?.cancelled = reason
      return running
    }
    guard let found else {
      return SyncFailure(code: "not_running", message: "the command \(command) does not run here")
    }
    if found.driver?.cancel(reason) ?? true { return nil }
    return SyncFailure(
      code: "sealing",
      message: "the final seal of \(command) was requested; it ends when the gateway has decided it")
  }

  /// Ends the final sync of `command`, also one that begins only now, as the gateway has decided it.
  public func conclude(command: String, _ conclusion: AgentCommand.Conclusion) {
    conclusions.withLock { $0[command] = conclusion }
    guard let running = running.withLock({ $0 }), running.command == command else { return }
    running.driver?.conclude(conclusion)
  }

  /// Gives a running sync the fresh grant that came with its command again.
  public func renew(command: String, grant: String) {
    guard let running = running.withLock({ $0 }), running.command == command else { return }
    running.gateway?.renew(grant: grant)
  }

  private func settings(_ command: SyncCommand) -> SyncDriver.Settings {
    var settings = SyncDriver.Settings()
    (settings.patience, settings.frameTimeout) = (patience.outage, patience.frame)
    // 2 MiB frames: four of them, read, encoded and encrypted, stay well within the agent's memory.
    settings.machine.frameLeaves = 32
    // A cut costs at most these 32 MiB and what is in flight.
    settings.machine.flushLeaves = 512
    if let rounds = command.limits.stalledRounds { settings.machine.stalledRounds = max(1, rounds) }
    return settings
  }

  private static func report(
    of result: SyncDriver.Result, _ command: SyncCommand, statement: String?, id: String
  ) -> AgentReport {
    AgentReport(
      command: id, state: result.failure == nil ? .done : .failed, progress: result.progress, receipt: result.receipt,
      statement: statement, failure: result.failure?.reported,
      sourceRuns: command.final && result.failure != nil ? !result.isUndecided : nil)
  }
}

extension SyncMachine.Mode {
  init(_ mode: SyncCommand.Mode) {
    switch mode {
    case .full: self = .full
    case .delta: self = .delta
    case .compare: self = .compare
    }
  }
}
