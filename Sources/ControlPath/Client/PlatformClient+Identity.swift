import FoundationEssentials
import NIOCore
import NIOHTTP1
import ServiceKit
public import Wire

/// The tenant's people and tokens; tenants, for the platform's administrator.
extension PlatformClient {
  public func signIn(_ wish: IdentityAPI.SignIn) async throws -> IdentityAPI.Session {
    try await rest.post("/v1/sessions", wish)
  }

  public func signOut() async throws { try await rest.delete("/v1/session") }

  /// Not in force before `confirmSecondFactor`.
  public func beginSecondFactor() async throws -> IdentityAPI.SecondFactor {
    try await rest.post("/v1/session/second-factor", [String: String]())
  }

  public func confirmSecondFactor(_ code: String) async throws {
    let body = ByteBuffer(bytes: try JSONEncoder().encode(IdentityAPI.Code(code: code)))
    _ = try await rest.send(.PUT, "/v1/session/second-factor", body: body)
  }

  public func removeSecondFactor(_ code: String) async throws {
    try await rest.post("/v1/session/second-factor/remove", IdentityAPI.Code(code: code))
  }

  // MARK: Tenants

  public func tenants() async throws -> [IdentityAPI.Tenant] { try await all("/v1/tenants") }

  public func makeTenant(_ wish: IdentityAPI.TenantWish) async throws -> IdentityAPI.Tenant {
    try await rest.post("/v1/tenants", wish)
  }

  // MARK: Users

  public func members() async throws -> [IdentityAPI.Member] { try await all(path("users")) }

  /// - Parameter name: an id or an e-mail address.
  public func member(_ name: String) async throws -> IdentityAPI.Member {
    try pick(
      try await members(), name.lowercased(), kind: "user", list: "godwit user list", id: \.id, name: \.email)
  }

  public func setRole(_ role: Role, of user: String) async throws -> IdentityAPI.Member {
    try await rest.put(path("users", user), IdentityAPI.RoleWish(role: role))
  }

  public func remove(user: String) async throws { try await rest.delete(path("users", user)) }

  public func invite(_ wish: IdentityAPI.InvitationWish) async throws -> IdentityAPI.Invitation {
    try await rest.post(path("invitations"), wish)
  }

  public func accept(_ wish: IdentityAPI.Acceptance) async throws -> IdentityAPI.Member {
    try await rest.post("/v1/invitations/accept", wish)
  }

  // MARK: API tokens

  public func apiTokens() async throws -> [IdentityAPI.APIToken] { try await all(path("api-tokens")) }

  public func makeToken(_ wish: IdentityAPI.APITokenWish) async throws -> IdentityAPI.APIToken {
    try await rest.post(path("api-tokens"), wish)
  }

  public func revoke(token id: String) async throws { try await rest.delete(path("api-tokens", id)) }
}
