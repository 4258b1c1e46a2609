import Foundation
import Machines
import NIOCore
import NIOHTTP1
import ServiceKit
import Synchronization
import Wire

/// An agent that speaks the protocol but moves no bytes: its receipts are signed with the gateway's key of the test.
/// Like a real one it asks again whenever it got no answer.
final class SimulatedAgent: Sendable {
  struct State {
    var token: String?
    var source = ""
    var ended = false
    var instance = "boot-1"
    /// Receipts that it gave, by session.
    var sealed: [String: Int] = [:]
    /// What it answers to the next sync instead of a receipt.
    var failure: AgentReport.Failure?
    var forge = false
    /// What it says its syncs found.
    var findings: ScrubFindings?
    /// A final sync goes on until it is cancelled.
    var holdsFinal = false
    /// What it does in a final sync instead of sealing and reporting.
    var final = Final.seals
    /// Seconds by which its clock is ahead.
    var ahead = 0
  }

  enum Final {
    case seals
    /// Seals at the gateway and is never heard of again.
    case sealsUnheard
    /// Is in its seal, which does not take place, until it is told what has become of it.
    case waits
    /// The same, and is never heard of again.
    case vanishes
  }
  let key: AgentKey
  let plane: ControlPlane
  let state = Mutex(State())
  private let disks: [MachineDescription.Disk]
  private let onSync: @Sendable ([SessionGrant.Disk]) async throws -> Void

  /// - Parameter onSync: what moves bytes to the volumes of a grant, where a test wants any.
  init(
    _ plane: ControlPlane, key: AgentKey = AgentKey(), disks: [MachineDescription.Disk] = machine.disks,
    onSync: @escaping @Sendable ([SessionGrant.Disk]) async throws -> Void = { _ in }
  ) {
    (self.plane, self.key, self.disks, self.onSync) = (plane, key, disks, onSync)
  }

  static let machine = MachineDescription(
    hostname: "web-1", architecture: "x86_64", firmware: .bios, kernel: "4.19", cpus: 2, memory: 1 << 30,
    disks: [disk("sda"), disk("sdb")])

  private static func disk(_ name: String) -> MachineDescription.Disk {
    .init(name: name, size: 1 << 20, sectorSize: 512, partitionTable: "gpt", partitions: [], serial: "")
  }

  func enrol(_ token: String) async throws {
    var machine = Self.machine
    machine.disks = disks
    let request = EnrolmentRequest(token: token, agentVersion: "test", machine: machine)
    let credential: AgentCredential = try await insisting {
      try JSONDecoder().decode(
        AgentCredential.self, from: try await self.send(.POST, "/v1/enrolments", try JSONEncoder().encode(request)))
    }
    state.withLock { ($0.token, $0.source) = (credential.accessToken, credential.source) }
  }

  /// Polls and obeys until it was told to uninstall itself or sealed a final sync.
  func run() async throws {
    while !state.withLock({ $0.ended }) {
      let commands = try await insisting { try await self.commands(wait: 1) }
      for command in commands where !state.withLock({ $0.ended }) { try await obey(command) }
      if commands.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    }
  }

  func commands(wait: Int) async throws -> [AgentCommand] {
    let instance = state.withLock { $0.instance }
    return try JSONDecoder().decode(
      [AgentCommand].self, from: try await send(.GET, "/v1/agent/commands?wait=\(wait)&instance=\(instance)", nil))
  }

  private func obey(_ command: AgentCommand) async throws {
    switch command.body {
    case .sync(let sync) where sync.final && state.withLock({ $0.final }) != .seals:
      try await beginFinal(sync, command)
    case .sync(let sync):
      try await report(AgentReport(command: command.id, state: .running, progress: progress(sync)))
      if sync.final, state.withLock({ $0.holdsFinal }) { return }
      if let failure = state.withLock({ $0.failure }) {
        try await report(AgentReport(command: command.id, state: .failed, failure: failure))
      } else {
        try await report(AgentReport(command: command.id, state: .done, receipt: try await receipt(sync)))
        if sync.final { state.withLock { $0.ended = true } }
      }
    case .uninstall:
      try await report(AgentReport(command: command.id, state: .done))
      state.withLock { $0.ended = true }
    case .cancel(let other, let conclusion?):
      let failure = AgentReport.Failure(code: "session_retired", message: "retired")
      if conclusion == .retired {
        try await report(AgentReport(command: other, state: .failed, failure: failure, sourceRuns: true))
      }
      try await report(AgentReport(command: command.id, state: .done))
      if conclusion == .sealed { state.withLock { $0.ended = true } }
    case .cancel(let other, nil):
      try await report(AgentReport(command: command.id, state: .done))
      guard state.withLock({ $0.holdsFinal }) else { return }
      let failure = AgentReport.Failure(code: "cancelled", message: "the sync was cancelled by command")
      try await report(AgentReport(command: other, state: .failed, failure: failure, sourceRuns: true))
    case .describe: try await report(AgentReport(command: command.id, state: .done))
    case .rehearse: try await report(AgentReport(command: command.id, state: .refused))
    }
  }

  /// Only once: like a real agent it knows what it runs.
  private func beginFinal(_ sync: SyncCommand, _ command: AgentCommand) async throws {
    guard state.withLock({ $0.sealed.updateValue(1, forKey: sync.session) == nil }) else { return }
    try await report(AgentReport(command: command.id, state: .running, progress: progress(sync, phase: "sealing")))
    let final = state.withLock { $0.final }
    if final == .sealsUnheard { try plane.seal(try await receipt(sync)) }
    if final != .waits { state.withLock { $0.ended = true } }
  }

  private func progress(_ sync: SyncCommand, phase: String = "copying") -> SyncProgress {
    SyncProgress(
      phase: phase, mode: sync.mode, usedBytes: 1, doneBytes: 0, wireBytes: 0, sentBytes: 0, dirtyBytes: 0,
      scrub: state.withLock { $0.findings })
  }

  private func receipt(_ sync: SyncCommand) async throws -> SealReceipt {
    let grant = try CompactJWS.verify(
      sync.grant, publicKey: try plane.key("migration").publicKey, as: SessionGrant.self)
    guard grant.cnf.jkt == key.thumbprint, grant.session == sync.session else { throw CancellationError() }
    try await onSync(grant.disks)
    let chain = ManifestChain(session: sync.session, previous: "")
    let receipt = SealReceipt(
      session: sync.session, migration: sync.migration, chain: chain.hex, agentSignature: try chain.sign(with: key),
      consistency: ["sda1": "filesystem"],
      disks: grant.disks.map {
        SealReceipt.Disk(volume: $0.volume, root: chain.hex, dataLeaves: 1, zeroLeaves: 0, freeLeaves: 15)
      }, sealedAt: Int(Date().timeIntervalSince1970), readBackLeaves: 16, readBackSeconds: 0.1, gatewayKey: "",
      gatewaySignature: "")
    state.withLock { $0.sealed[sync.session, default: 0] += 1 }
    return try receipt.signed(by: state.withLock { $0.forge } ? AgentKey() : try plane.key("gateway"))
  }

  private func report(_ report: AgentReport) async throws {
    let body = try JSONEncoder().encode(report)
    let instance = state.withLock { $0.instance }
    _ = try await insisting {
      do { return try await self.send(.POST, "/v1/agent/reports?instance=\(instance)", body) } catch let problem
        as Problem
        where problem.status == 404
      { return Data() }
    }
  }

  /// Repeats while the service does not answer.
  private func insisting<Value>(_ body: () async throws -> Value) async throws -> Value {
    while true {
      do { return try await body() } catch let problem as Problem where [502, 503].contains(problem.status) {
        try await Task.sleep(for: .milliseconds(30))
      }
    }
  }

  func send(_ method: HTTPMethod, _ path: String, _ body: Data?, jti: String = UUID().uuidString) async throws -> Data {
    let (token, ahead) = state.withLock { ($0.token, $0.ahead) }
    let proof = try KeyProof.make(
      key: key, method: method.rawValue, url: plane.publicURL + path, accessToken: token,
      now: Int(Date().timeIntervalSince1970) + ahead, jti: jti)
    let client = try RESTClient(
      name: "migration", endpoint: .unix(path: plane.migrationSocket), timeout: .seconds(5), repeats: false
    ) { token.map { "DPoP " + $0 } }
    let answer = try await client.send(
      method, path, body: body.map { ByteBuffer(bytes: $0) }, headers: ["DPoP": proof])
    return Data(answer.readableBytesView)
  }
}

extension MachineDescription {
  init(
    hostname: String, architecture: String, firmware: Firmware, kernel: String, cpus: Int, memory: UInt64, disks: [Disk]
  ) {
    self.init(
      hostname: hostname, architecture: architecture, firmware: firmware, kernel: kernel,
      distribution: .init(id: "debian", version: "12", name: "Debian 12"), cpus: cpus, memory: memory, disks: disks,
      filesystems: [], networkInterfaces: [], stackedDevices: [])
  }
}
