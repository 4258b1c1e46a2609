import NIOHTTP1
public import Providers

/// `Storage` of the local cloud: qcow2 volumes kept by a `godwit-hypervisor`.
public struct LocalStorage: Storage {
  let hypervisor: HypervisorConnection

  private struct VolumeBody: Encodable {
    var size: UInt64
    var origin: ResourceID?
    var tags: Tags
  }
  private struct SnapshotBody: Encodable {
    var volume: ResourceID
    var tags: Tags
  }
  private struct Attachment: Decodable {
    var location: String
  }

  public func createVolume(
    _ id: ResourceID, size: UInt64, from snapshot: ResourceID?, tags: Tags
  ) async throws -> Volume {
    try await hypervisor.call(.PUT, "volumes/\(try id.path)", VolumeBody(size: size, origin: snapshot, tags: tags))
  }

  public func volume(_ id: ResourceID) async throws -> Volume? {
    try await hypervisor.find("volumes/\(try id.path)")
  }

  public func deleteVolume(_ id: ResourceID) async throws {
    try await hypervisor.send(.DELETE, "volumes/\(try id.path)")
  }

  public func attachVolume(_ id: ResourceID) async throws -> String {
    let attachment: Attachment = try await hypervisor.call(.PUT, "volumes/\(try id.path)/attachment", String?.none)
    return attachment.location
  }

  public func detachVolume(_ id: ResourceID) async throws {
    try await hypervisor.send(.DELETE, "volumes/\(try id.path)/attachment")
  }

  public func createSnapshot(_ id: ResourceID, of volume: ResourceID, tags: Tags) async throws -> Snapshot {
    try await hypervisor.call(.PUT, "snapshots/\(try id.path)", SnapshotBody(volume: volume, tags: tags))
  }

  public func snapshot(_ id: ResourceID) async throws -> Snapshot? {
    try await hypervisor.find("snapshots/\(try id.path)")
  }

  public func deleteSnapshot(_ id: ResourceID) async throws {
    try await hypervisor.send(.DELETE, "snapshots/\(try id.path)")
  }

  public func list(tags: Tags) async throws -> [StoredResource] {
    let found: HypervisorResources = try await hypervisor.get(HypervisorConnection.resources(tags))
    return found.volumes.map { .volume($0) } + found.snapshots.map { .snapshot($0) }
  }
}

extension ResourceID {
  /// As one segment of a path. Throws `.invalid` for what no id may be: it could name another path.
  var path: String {
    get throws {
      let allowed = rawValue.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
      }
      guard allowed, (1...63).contains(rawValue.utf8.count) else {
        throw ProviderError(.invalid, "an id is 1 to 63 of a-z, 0-9 and -")
      }
      return rawValue
    }
  }
}
