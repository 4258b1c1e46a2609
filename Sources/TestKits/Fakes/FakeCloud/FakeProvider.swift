import Foundation
public import Machines
import NIOCore
import NIOHTTP1
public import Providers
import ServiceKit
import Wire

/// A provider that speaks to a `FakeCloud` over HTTP. It only translates: one request a verb, no repeats.
public struct FakeProvider: Storage, Compute {
  private let client: RESTClient

  /// - Parameters:
  ///   - endpoint: `http://127.0.0.1:PORT`.
  ///   - secret: the bearer token, where the cloud wants one.
  public init(endpoint: String, secret: String? = nil) throws {
    client = try RESTClient(
      name: "the fake cloud", endpoint: .web(url: endpoint, ca: nil), timeout: .seconds(30), repeats: false,
      authorization: { secret.map { "Bearer " + $0 } })
  }

  /// As the platform uses it.
  public var provider: Provider { Provider(name: "fake", storage: self, compute: self) }

  public func createVolume(_ id: ResourceID, size: UInt64, from snapshot: ResourceID?, tags: Tags) async throws
    -> Volume
  {
    try FakeCloud.check(id)
    return try await ask {
      try await client.put("/volumes/\(id)", FakeVolumeBody(size: size, snapshot: snapshot, tags: tags))
    }
  }
  public func volume(_ id: ResourceID) async throws -> Volume? {
    try await ask { try await client.find("/volumes/\(id)") }
  }
  public func deleteVolume(_ id: ResourceID) async throws {
    try await ask { try await client.delete("/volumes/\(id)") }
  }

  public func attachVolume(_ id: ResourceID) async throws -> String {
    try await ask { try await client.put("/volumes/\(id)/attachment", Tags(), as: FakeLocation.self).location }
  }
  public func detachVolume(_ id: ResourceID) async throws {
    try await ask { try await client.delete("/volumes/\(id)/attachment") }
  }

  public func createSnapshot(_ id: ResourceID, of volume: ResourceID, tags: Tags) async throws -> Snapshot {
    try FakeCloud.check(id)
    return try await ask { try await client.put("/snapshots/\(id)", FakeSnapshotBody(volume: volume, tags: tags)) }
  }
  public func snapshot(_ id: ResourceID) async throws -> Snapshot? {
    try await ask { try await client.find("/snapshots/\(id)") }
  }
  public func deleteSnapshot(_ id: ResourceID) async throws {
    try await ask { try await client.delete("/snapshots/\(id)") }
  }

  public func list(tags: Tags) async throws -> [StoredResource] {
    try await ask { try await client.post("/list", tags) }
  }

  public func createMachine(_ id: ResourceID, _ wish: MachineWish, tags: Tags) async throws -> Machine {
    try FakeCloud.check(id)
    return try await ask { try await client.put("/machines/\(id)", FakeMachineBody(wish: wish, tags: tags)) }
  }
  public func machine(_ id: ResourceID) async throws -> Machine? {
    try await ask { try await client.find("/machines/\(id)") }
  }
  public func deleteMachine(_ id: ResourceID) async throws {
    try await ask { try await client.delete("/machines/\(id)") }
  }
  public func stopMachine(_ id: ResourceID) async throws {
    try await ask { _ = try await client.send(.DELETE, "/machines/\(id)/running") }
  }
  public func startMachine(_ id: ResourceID) async throws {
    try await ask { _ = try await client.send(.PUT, "/machines/\(id)/running") }
  }
  public func console(_ id: ResourceID, limit: Int) async throws -> [UInt8] {
    try await ask { try await client.bytes("/machines/\(id)/console?limit=\(limit)") }
  }
  public func screenshot(_ id: ResourceID) async throws -> [UInt8] {
    try await ask { try await client.bytes("/machines/\(id)/screenshot") }
  }
  public func listMachines(tags: Tags) async throws -> [Machine] {
    try await ask { try await client.post("/list-machines", tags) }
  }

  private func ask<Value>(_ request: () async throws -> Value) async throws -> Value {
    do { return try await request() } catch let problem as Problem {
      let code = ProviderError.Code(rawValue: problem.code)
      throw ProviderError(code ?? (problem.status >= 500 ? .unavailable : .failed), problem.detail)
    }
  }
}

/// The levers of a running fake cloud.
public struct FakeCloudAdmin: Sendable {
  private let client: RESTClient

  public init(endpoint: String) throws {
    client = try RESTClient(name: "the fake cloud", endpoint: .web(url: endpoint, ca: nil))
  }

  /// Sets the faults and starts counting anew.
  public func set(_ faults: Faults) async throws {
    _ = try await client.send(.PUT, "/admin/faults", body: json(faults))
  }
  public func set(_ scripts: ConsoleScripts) async throws {
    _ = try await client.send(.PUT, "/admin/consoles", body: json(scripts))
  }
  public func hits() async throws -> FaultHits { try await client.get("/admin/hits") }
  public func log() async throws -> [FakeCloudEntry] { try await client.get("/admin/log") }
}

private func json(_ value: some Encodable) throws -> ByteBuffer { ByteBuffer(bytes: try JSONEncoder().encode(value)) }
