import Foundation
import ServiceKit
public import Wire
public import Workflows

/// The clouds service as the workflows of one tenant use it. Every changing call is a fault point: it may be the last
/// thing that this process does.
struct CloudsClient: Sendable {
  private let client: RESTClient
  private let tenant: String
  private let faults: FaultPoints

  init(_ configuration: MigrationConfiguration, tenant: String) throws {
    let issuer = ServiceTokenIssuer(name: "migration", key: configuration.key)
    client = try RESTClient(name: "clouds", endpoint: configuration.clouds) {
      "Bearer " + (try issuer.token(for: "clouds", tenant: tenant))
    }
    (self.tenant, faults) = (tenant, configuration.faults)
  }

  func target(_ id: String) async throws -> CloudsAPI.Target? {
    // What can be no id would be another route.
    guard Identifier.isValid(id) else { return nil }
    return try await client.find(path("targets", id))
  }

  func putVolume(_ id: String, _ wish: CloudsAPI.VolumeWish) async throws -> CloudsAPI.Volume {
    try await changing("put.volume", id) { try await client.put(path("volumes", id), wish) }
  }

  func volume(_ id: String) async throws -> CloudsAPI.Volume? { try await client.find(path("volumes", id)) }

  func deleteVolume(_ id: String) async throws {
    try await changing("delete.volume", id) { try await client.delete(path("volumes", id)) }
  }

  func attach(_ id: String) async throws -> CloudsAPI.Attachment {
    try await changing("put.attachment", id) {
      try await client.put(path("volumes", id, "attachment"), Empty())
    }
  }

  func detach(_ id: String) async throws {
    try await changing("delete.attachment", id) { try await client.delete(path("volumes", id, "attachment")) }
  }

  func putSnapshot(_ id: String, _ wish: CloudsAPI.SnapshotWish) async throws -> CloudsAPI.Snapshot {
    try await changing("put.snapshot", id) { try await client.put(path("snapshots", id), wish) }
  }

  func snapshot(_ id: String) async throws -> CloudsAPI.Snapshot? { try await client.find(path("snapshots", id)) }

  func deleteSnapshot(_ id: String) async throws {
    try await changing("delete.snapshot", id) { try await client.delete(path("snapshots", id)) }
  }

  func putMachine(_ id: String, _ wish: CloudsAPI.MachineRequest) async throws -> CloudsAPI.Machine {
    try await changing("put.machine", id) { try await client.put(path("machines", id), wish) }
  }

  func machine(_ id: String) async throws -> CloudsAPI.Machine? { try await client.find(path("machines", id)) }

  func deleteMachine(_ id: String) async throws {
    try await changing("delete.machine", id) { try await client.delete(path("machines", id)) }
  }

  func power(_ id: String, _ action: CloudsAPI.Power.Action) async throws {
    try await changing("post.power", id) {
      try await client.post(path("machines", id, "power"), CloudsAPI.Power(action: action))
    }
  }

  /// What the providers have and the clouds service does not know, and the other way round.
  func leaks() async throws -> CloudsAPI.Leaks { try await client.get(path("leaks")) }

  /// The last `limit` bytes of a serial console, what is not text replaced.
  func console(_ id: String, limit: Int) async throws -> String {
    let path = RESTClient.path(
      "v1", "tenants", tenant, "machines", id, "console", query: ["limit": String(limit)])
    return String(decoding: try await client.bytes(path), as: UTF8.self)
  }

  func screenshot(_ id: String) async throws -> [UInt8] {
    try await client.bytes(path("machines", id, "screenshot"))
  }

  private struct Empty: Codable {}

  private func path(_ parts: String...) -> String {
    parts.reduce(RESTClient.path("v1", "tenants", tenant)) { $0 + RESTClient.path($1) }
  }

  /// Disks are told apart by the last part of the id: `put.volume.0`.
  private func changing<Value>(_ name: String, _ id: String, _ body: () async throws -> Value) async throws -> Value {
    let value = try await body()
    try faults.reach("\(name).\(id.split(separator: "-").last ?? "")", .effect)
    return value
  }
}

extension Problem: PermanentFailure {
  /// A refusal of the request itself does not pass by asking again; what is busy, throttled, broken or not there yet
  /// may.
  public var workflowProblem: WorkflowProblem? {
    switch status {
    case 400, 403, 413, 422: WorkflowProblem(self)
    default: nil
    }
  }
}

extension WorkflowProblem {
  init(_ problem: Problem) { self.init(code: problem.code, detail: problem.detail, remedy: problem.remedy) }
}

extension Problem {
  init(_ problem: WorkflowProblem) {
    self.init(code: problem.code, status: 500, detail: problem.detail, remedy: problem.remedy)
  }
}
