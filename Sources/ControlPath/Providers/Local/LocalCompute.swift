public import Machines
import NIOHTTP1
public import Providers

/// `Compute` of the local cloud: QEMU machines kept by a `godwit-hypervisor`.
public struct LocalCompute: Compute {
  let hypervisor: HypervisorConnection

  private struct MachineBody: Encodable {
    var wish: MachineWish
    var tags: Tags
  }

  public func createMachine(_ id: ResourceID, _ wish: MachineWish, tags: Tags) async throws -> Machine {
    try await hypervisor.call(.PUT, "machines/\(try id.path)", MachineBody(wish: wish, tags: tags))
  }

  public func machine(_ id: ResourceID) async throws -> Machine? {
    try await hypervisor.find("machines/\(try id.path)")
  }

  public func deleteMachine(_ id: ResourceID) async throws {
    try await hypervisor.send(.DELETE, "machines/\(try id.path)")
  }

  public func stopMachine(_ id: ResourceID) async throws {
    try await hypervisor.send(.POST, "machines/\(try id.path)/stop")
  }

  public func startMachine(_ id: ResourceID) async throws {
    try await hypervisor.send(.POST, "machines/\(try id.path)/start")
  }

  public func console(_ id: ResourceID, limit: Int) async throws -> [UInt8] {
    try await hypervisor.send(.GET, "machines/\(try id.path)/console?limit=\(limit)")
  }

  public func screenshot(_ id: ResourceID) async throws -> [UInt8] {
    try await hypervisor.send(.GET, "machines/\(try id.path)/screenshot")
  }

  public func listMachines(tags: Tags) async throws -> [Machine] {
    let found: HypervisorResources = try await hypervisor.get(HypervisorConnection.resources(tags))
    return found.machines
  }
}
