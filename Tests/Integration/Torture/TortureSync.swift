import Blocks
import Foundation
import NIOPosix
import Replication
import Synchronization
import Transport
import Wire

@testable import Source

/// One disk that is synced to a real gateway, delta after delta, while things are killed.
struct TortureSync {
  private enum Disturbance: CaseIterable {
    case none, gatewayKilled, agentAbandoned, latePut
  }

  /// What a sync of a busy disk may end with and go on from. `sync_ended`: where the kernel lost events again and again.
  private static func isExpected(_ failure: AgentReport.Failure) -> Bool {
    ["not_converging", "freeze_failed", "tracking_lost"].contains(failure.code)
      || failure.code == "sync_ended" && failure.message.hasPrefix("the disks cannot be tracked")
  }

  private let disk: LoopDisk
  private let bench: SyncBench
  private let tally: TortureTally
  /// The replica is written through it, where there is one.
  private let daemon: StorageDaemon?
  private let places: AgentPlaces
  private var source: WitnessedSource
  private var runner: SyncRunner
  private var number = 0
  /// A compare leaves alone what is free: from then on only what is used must be equal.
  private var hasCompared = false
  private var kinds = Disturbance.allCases.shuffled()

  init(_ disk: LoopDisk, _ bench: SyncBench, _ tally: TortureTally, daemon: StorageDaemon? = nil) throws {
    (self.disk, self.bench, self.tally, self.daemon) = (disk, bench, tally, daemon)
    places = KilledAgent.places(in: bench.folder)
    try FileManager.default.createDirectory(atPath: places.volatile, withIntermediateDirectories: true)
    source = try WitnessedSource(disk: disk, places: places)
    runner = bench.runner()
  }

  func end() {
    _ = source.linux.thaw()
    source.linux.stop()
    places.trackingKeeper(owner: "migration").removeAll()
  }

  /// Copies all of it. The disk is new: what is free reads as zeros, as the replica does.
  mutating func full() async throws {
    number += 1
    try await sync(.full, .none)
  }

  /// A delta, and whatever happens to it until it has a point or may end without one.
  mutating func delta(disturbed: Bool = true) async throws {
    if kinds.isEmpty { kinds = Disturbance.allCases.shuffled() }
    number += 1
    try await sync(.delta, disturbed ? kinds.removeLast() : .none)
  }

  /// At rest: the point is what the disk still holds.
  mutating func settle() async throws {
    for attempt in 1... {
      let before = tally.now.replicas
      try await delta(disturbed: false)
      if tally.now.replicas > before { return }
      guard attempt < 5 else { return tally.fault("\(disk.name): five undisturbed syncs, no point") }
    }
  }

  @discardableResult private mutating func sync(
    _ mode: SyncCommand.Mode, _ disturbance: Disturbance
  ) async throws -> AgentReport {
    let command = try command(mode)
    let report = try await run(command, disturbance)
    if let reason = report.progress?.voided { tally.void(reason) }
    if report.progress?.mode == .compare { hasCompared = true }
    guard report.state == .done else {
      let code = report.failure?.code ?? "?"
      if code == "cancelled", disturbance == .agentAbandoned { return try await resume() }
      guard let failure = report.failure, Self.isExpected(failure) else {
        tally.fault("\(command.session): \(report) \(bench.log.suffix(2000))")
        return report
      }
      tally.add { $0.unsealed[code, default: 0] += 1 }
      return report
    }
    compare(command.session, report)
    return report
  }

  private func command(_ mode: SyncCommand.Mode) throws -> SyncCommand {
    try bench.command(
      mode, session: "s\(number)", limits: .init(stalledRounds: 3), location: daemon?.location)
  }

  /// One sync, given to agents that are killed one after the other while what they write to is killed as well; then one
  /// that may end. Everything that was killed counts as survived once the replica is right.
  mutating func storm(kills: Int) async throws {
    number += 1
    var killed: [String: Int] = [:]
    for _ in 0..<kills {
      let agent = KilledAgent(
        disk: disk.name, folder: bench.folder, authority: bench.connection.authority, key: bench.key.rawRepresentation,
        command: try command(.delta), microseconds: .random(in: 100_000...1_500_000))
      async let life: Void = agent.live()
      for victim in ["gateway", "storage daemon"] where Bool.random() {
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...800)))
        if victim == "gateway" {
          let port = bench.port
          bench.killGateway()
          try bench.startGateway(port: port)
        } else {
          daemon?.kill()
          try daemon?.start()
        }
        killed[victim, default: 0] += 1
      }
      await life
      killed["agent", default: 0] += 1
    }
    hasCompared = true
    runner = bench.runner(memory: places.memory)
    source = try WitnessedSource(disk: disk, places: places)
    let before = tally.now
    try await settle()
    let now = tally.now
    guard now.replicas > before.replicas, now.misses.count == before.misses.count else { return }
    tally.add { $0.survived.merge(killed) { $0 + $1 } }
  }

  /// A new agent that remembers nothing is given the same command again.
  private mutating func resume() async throws -> AgentReport {
    runner = bench.runner()
    source = try WitnessedSource(disk: disk, places: places)
    let report = try await sync(.delta, .none)
    guard report.state == .done else { return report }
    let isAdopted = report.progress?.mode == .delta
    tally.add {
      $0.survived["agent", default: 0] += 1
      $0.adopted += isAdopted ? 1 : 0
    }
    return report
  }

  private func compare(_ session: String, _ report: AgentReport) {
    guard let instant = source.instant else { return tally.fault("\(session): sealed without an instant") }
    guard let replica = try? Data(contentsOf: URL(filePath: bench.replica)) else {
      return tally.fault("\(session): the replica cannot be read")
    }
    let differing = instant.differing(from: [UInt8](replica), usedOnly: hasCompared)
    if !differing.isEmpty {
      tally.miss("\(session) as \(report.progress.map { "\($0.mode)" } ?? "?"): leaves \(differing.prefix(8)) differ")
    }
    tally.add { $0.replicas += 1 }
  }

  private func run(_ command: SyncCommand, _ disturbance: Disturbance) async throws -> AgentReport {
    let isDone = Mutex(false)
    let (source, runner) = (source, runner)
    source.linux.begin(session: command.session)
    async let ended = {
      let report = await runner.run(
        command, id: "c", source: source, interval: .milliseconds(100), report: { _ in })
      isDone.withLock { $0 = true }
      return report
    }()
    try await Task.sleep(for: .milliseconds(Int.random(in: 1...400)))
    if isDone.withLock({ $0 }) { return await ended }
    switch disturbance {
    case .none: return await ended
    case .agentAbandoned:
      _ = runner.cancel(command: "c")
      return await ended
    case .gatewayKilled:
      let port = bench.port
      bench.killGateway()
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...500)))
      try bench.startGateway(port: port)
      let report = await ended
      if report.state == .done { tally.add { $0.survived["gateway", default: 0] += 1 } }
      return report
    case .latePut:
      try await putLate()
      return await ended
    }
  }

  /// What an agent of an earlier session sent, and a network kept until now.
  private func putLate() async throws {
    guard number > 1 else { return }
    let session = "s\(number - 1)"
    let token = try bench.command(.delta, session: session).grant
    let client = try SecureClient(
      settings: bench.connection, key: bench.key, group: MultiThreadedEventLoopGroup.singleton, connections: 1)
    let late = TestSource(
      client: client, base: "https://127.0.0.1:\(bench.port)", session: session, token: token, agent: bench.key)
    let leaf = UInt64.random(in: 0..<bench.size / Leaf.size)
    let frame = try TestFrame.data(TestFrame.leaves(1, seed: .random(in: 1 ... .max)), at: leaf * Leaf.size)
    var code: String?
    do {
      code = try await refusal {
        try await late.put(
          frame, sequence: Sequence(rawValue: .random(in: 1...9)), epoch: Epoch(rawValue: .random(in: 1...9)))
      }
    } catch { code = "\(error)" }
    try await client.shutdown()
    guard code != nil else { return tally.fault("a late PUT of \(session) was taken while s\(number) was synced") }
    tally.add { $0.survived["late PUT", default: 0] += 1 }
  }
}
