import NIOCore
import NIOHTTP1
import ServiceKit
public import Wire

/// Licences and seats: a tenant's own, and all of them for the operator.
extension PlatformClient {
  public func licences() async throws -> [LicensingAPI.Issued] { try await all(path("licences")) }

  public func licence(id: String) async throws -> LicensingAPI.Issued { try await rest.get(path("licences", id)) }

  public func seats() async throws -> LicensingAPI.Seats { try await rest.get(path("seats")) }

  public func allLicences() async throws -> [LicensingAPI.Issued] { try await all("/v1/licences") }

  public func issue(_ wish: LicensingAPI.Wish) async throws -> LicensingAPI.Issued {
    try await rest.post("/v1/licences", wish)
  }

  public func revoke(licence id: String) async throws {
    _ = try await rest.send(.DELETE, RESTClient.path("v1", "licences", id))
  }
}
