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
  private let running = Mutex<(command: String, driver: SyncDriver, gateway: GatewayClient)?>(nil)

  /// Connections to a gateway: one for each frame in flight and some for flushes and claims.
  private static let connections = 6

  /// - Parameter pool: for what blocks; started by the caller. Four threads keep the queue of a disk filled.
  public init(connection: ConnectionSettings, key: AgentKey, group: any EventLoopGroup, pool: NIOThreadPool) {
    (self.connection, self.key, self.group, self.pool) = (connection, key, group, pool)
  }

  /// Runs one sync to its end. Never throws: the report says what became of it.
  ///
  /// - Parameters:
  ///   - id: of the command.
  ///   - hasCommitted: an earlier life had requested the seal of this very final sync.
  ///   - report: called every `interval` with how it goes, and for a final sync once more before the power goes off.
  public func run(
    _ command: SyncCommand, id: String, source: any SyncSource, hasCommitted: Bool = false,
    interval: Duration = .seconds(2), hush: @escaping @Sendable (Bool) -> Void = { _ in },
    report: @escaping @Sendable (AgentReport) async -> Void
  ) async -> AgentReport {
    let client: SecureClient
    do {
      client = try SecureClient(settings: connection, key: key, group: group, connections: Self.connections)
    } catch {
      return AgentReport(
        command: id, state: .failed, failure: .init(code: "bad_settings", message: "\(error)"))
    }
    let gateway = GatewayClient(
      client: client, base: command.gateway, session: command.session, grant: command.grant)
    let driver = SyncDriver(
      source: source, gateway: gateway, key: key, session: command.session, mode: .init(command.mode),
      final: command.final, resumesFinal: hasCommitted, limits: command.limits, pool: pool,
      settings: Self.settings(command), hush: hush
    ) { result in await report(Self.report(of: result, id: id)) }
    let isFree = running.withLock { running in
      guard running == nil else { return false }
      running = (id, driver, gateway)
      return true
    }
    let final: AgentReport
    if isFree {
      final = await self.run(driver, id: id, interval: interval, report: report)
      running.withLock { $0 = nil }
    } else {
      final = AgentReport(
        command: id, state: .refused,
        failure: .init(code: "busy", message: "another sync is running here; wait for its end or cancel it"))
    }
    try? await client.shutdown()
    return final
  }

  private func run(
    _ driver: SyncDriver, id: String, interval: Duration, report: @escaping @Sendable (AgentReport) async -> Void
  ) async -> AgentReport {
    await withDiscardingTaskGroup(returning: AgentReport.self) { tasks in
      tasks.addTask {
        while (try? await Task.sleep(for: interval)) != nil {
          await report(AgentReport(command: id, state: .running, progress: driver.progress))
        }
      }
      let result = await driver.run()
      tasks.cancelAll()
      return Self.report(of: result, id: id)
    }
  }

  /// Stops the sync of `command`; false where it does not run.
  public func cancel(command: String) -> Bool {
    guard let running = running.withLock({ $0 }), running.command == command else { return false }
    running.driver.cancel(SyncFailure(code: "cancelled", message: "the sync was cancelled by command"))
    return true
  }

  /// Gives a running sync the fresh grant that came with its command again.
  public func renew(command: String, grant: String) {
    guard let running = running.withLock({ $0 }), running.command == command else { return }
    running.gateway.renew(grant: grant)
  }

  private static func settings(_ command: SyncCommand) -> SyncDriver.Settings {
    var settings = SyncDriver.Settings()
    // 2 MiB frames: four of them, read, encoded and encrypted, stay well within the agent's memory.
    settings.machine.frameLeaves = 32
    // A cut costs at most these 32 MiB and what is in flight.
    settings.machine.flushLeaves = 512
    return settings
  }

  private static func report(of result: SyncDriver.Result, id: String) -> AgentReport {
    AgentReport(
      command: id, state: result.failure == nil ? .done : .failed, progress: result.progress, receipt: result.receipt,
      failure: result.failure?.reported)
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
