import Foundation
import Machines
public import Providers

/// A provider to be checked, and how to reach the bytes of its volumes.
public struct ProviderUnderTest: Sendable {
  public var provider: Provider
  /// Bytes of the volumes that rules make: a multiple of 1 MiB.
  public var volumeSize: UInt64
  /// Longest wait for a state, in seconds.
  public var patience: Double
  /// Reads `count` bytes at an offset of an attached location; nil where this host cannot reach volumes: the rules about
  /// bytes are then skipped, and say so.
  public var readBytes: (@Sendable (_ location: String, _ offset: UInt64, _ count: Int) async throws -> [UInt8])?
  /// Writes and flushes.
  public var writeBytes: (@Sendable (_ location: String, _ offset: UInt64, _ bytes: [UInt8]) async throws -> Void)?
  /// Whether machines are checked too.
  public var checksCompute: Bool

  public init(
    _ provider: Provider, volumeSize: UInt64 = 8 << 20, patience: Double = 60,
    readBytes: (@Sendable (String, UInt64, Int) async throws -> [UInt8])? = nil,
    writeBytes: (@Sendable (String, UInt64, [UInt8]) async throws -> Void)? = nil, checksCompute: Bool = true
  ) {
    (self.provider, self.volumeSize, self.patience) = (provider, volumeSize, patience)
    (self.readBytes, self.writeBytes, self.checksCompute) = (readBytes, writeBytes, checksCompute)
  }
}

/// One sentence of the contract of `Storage` or `Compute`, and the check of it. Throws `RuleBroken`, or whatever the
/// provider threw that it should not have; `RuleSkipped` where it cannot be checked here.
public struct ProviderRule: Sendable, CustomStringConvertible {
  public var sentence: String
  let check: @Sendable (RuleScope) async throws -> Void
  public var description: String { sentence }

  /// Checks the rule with objects of its own, and removes them whatever happens.
  public func check(_ subject: ProviderUnderTest) async throws {
    let scope = RuleScope(subject)
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await check(scope)) } catch { outcome = .failure(error) }
    let swept: Result<Void, any Error>
    do { swept = .success(try await scope.sweep()) } catch { swept = .failure(error) }
    try outcome.get()
    try swept.get()
  }
}

public struct RuleBroken: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String
  public init(description: String) { self.description = description }
}

public struct RuleSkipped: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String
  public init(description: String) { self.description = description }
}

/// The objects of one check: all tagged alike, so that they are found and removed.
struct RuleScope: Sendable {
  let subject: ProviderUnderTest
  let run = String(UInt64.random(in: 0...UInt64.max), radix: 36)
  var storage: any Storage { subject.provider.storage }
  var compute: any Compute { subject.provider.compute }
  var tags: Tags { ["godwit-check": run] }

  init(_ subject: ProviderUnderTest) { self.subject = subject }

  func id(_ name: String) -> ResourceID { ResourceID(rawValue: "check-\(run)-\(name)") }

  func require(_ condition: Bool, _ complaint: @autoclosure () -> String) throws {
    if !condition { throw RuleBroken(description: complaint()) }
  }

  /// Runs `body`, which must throw `code`.
  func expect(_ code: ProviderError.Code, when what: String, _ body: () async throws -> Void) async throws {
    do { try await body() } catch let error as ProviderError {
      try require(error.code == code, "\(what) threw \(error.code.rawValue) (\(error.message)), not \(code.rawValue)")
      return
    }
    throw RuleBroken(description: "\(what) succeeded, but should throw \(code.rawValue)")
  }

  /// Asks until `probe` gives a value.
  func wait<Value>(for what: String, _ probe: () async throws -> Value?) async throws -> Value {
    let deadline = Date().addingTimeInterval(subject.patience)
    while true {
      if let value = try await probe() { return value }
      try require(Date() < deadline, "\(what) did not come within \(subject.patience) s")
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  @discardableResult func readyVolume(_ name: String, from snapshot: ResourceID? = nil) async throws -> Volume {
    _ = try await storage.createVolume(id(name), size: subject.volumeSize, from: snapshot, tags: tags)
    return try await wait(for: "volume \(name)") {
      let volume = try await storage.volume(id(name))
      try require(volume?.state != .failed, "volume \(name) failed")
      return volume?.state == .ready ? volume : nil
    }
  }

  @discardableResult func readySnapshot(_ name: String, of volume: ResourceID) async throws -> Snapshot {
    _ = try await storage.createSnapshot(id(name), of: volume, tags: tags)
    return try await wait(for: "snapshot \(name)") {
      let snapshot = try await storage.snapshot(id(name))
      try require(snapshot?.state != .failed, "snapshot \(name) failed")
      return snapshot?.state == .ready ? snapshot : nil
    }
  }

  func wish(_ volumes: [ResourceID]) -> MachineWish {
    MachineWish(
      role: .guest, cpus: 1, memory: 256 << 20, firmware: .bios, volumes: volumes.map(\.rawValue), network: .isolated,
      forwardedPorts: [22])
  }

  func machine(_ name: String, is state: MachineState) async throws -> Machine {
    try await wait(for: "machine \(name) as \(state.rawValue)") {
      let machine = try await compute.machine(id(name))
      try require(machine?.state != .failed, "machine \(name) failed")
      return machine?.state == state ? machine : nil
    }
  }

  func read(_ location: String, _ offset: UInt64, _ count: Int) async throws -> [UInt8] {
    guard let readBytes = subject.readBytes else { throw RuleSkipped(description: "no way to read volumes from here") }
    return try await readBytes(location, offset, count)
  }

  func write(_ location: String, _ offset: UInt64, _ bytes: [UInt8]) async throws {
    guard let writeBytes = subject.writeBytes else {
      throw RuleSkipped(description: "no way to write volumes from here")
    }
    try await writeBytes(location, offset, bytes)
  }

  /// Removes everything with this run's tags: machines, then what lies on what, until nothing is left.
  func sweep() async throws {
    let rest: [String] = try await wait(for: "an empty provider after the check") {
      var left: [String] = []
      if subject.checksCompute {
        for machine in try await compute.listMachines(tags: tags) {
          left.append("machine \(machine.id)")
          try? await compute.deleteMachine(machine.id)
        }
      }
      for resource in try await storage.list(tags: tags) {
        switch resource {
        case .volume(let volume):
          left.append("volume \(volume.id)")
          try? await storage.detachVolume(volume.id)
          try? await storage.deleteVolume(volume.id)
        case .snapshot(let snapshot):
          left.append("snapshot \(snapshot.id)")
          try? await storage.deleteSnapshot(snapshot.id)
        case .machine: break
        }
      }
      return left.isEmpty ? left : nil
    }
    try require(rest.isEmpty, "left behind: \(rest)")
  }
}
