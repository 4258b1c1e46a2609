public import ServiceKit
import Wire

extension IdentityService {
  /// What each route needs that wants an access token. Whoever may see a tenant may make API tokens of what he may do
  /// himself.
  public static let rights = RouteRights([
    "GET /v1/tenants": .operate,
    "POST /v1/tenants": .platform,
    "GET /v1/users": .operate,
    "POST /v1/users": .platform,
    "PATCH /v1/users/{id}": .platform,
    "DELETE /v1/users/{id}/second-factor": .platform,
    "GET /v1/sign-on-providers": .operate,
    "GET /v1/sign-on-providers/{id}": .operate,
    "PUT /v1/sign-on-providers/{id}": .platform,
    "DELETE /v1/sign-on-providers/{id}": .platform,
    "GET /v1/signing-keys": .operate,
    "POST /v1/signing-keys/rotate": .keys,

    "GET /v1/tenants/{tenant}": .read,
    "PATCH /v1/tenants/{tenant}": .own,
    "GET /v1/tenants/{tenant}/limits": .read,
    "PUT /v1/tenants/{tenant}/limits": .platform,
    "GET /v1/tenants/{tenant}/users": .read,
    "GET /v1/tenants/{tenant}/users/{id}": .read,
    "PUT /v1/tenants/{tenant}/users/{id}": .own,
    "DELETE /v1/tenants/{tenant}/users/{id}": .own,
    "GET /v1/tenants/{tenant}/invitations": .own,
    "POST /v1/tenants/{tenant}/invitations": .own,
    "DELETE /v1/tenants/{tenant}/invitations/{id}": .own,
    "GET /v1/tenants/{tenant}/api-tokens": .read,
    "POST /v1/tenants/{tenant}/api-tokens": .read,
    "DELETE /v1/tenants/{tenant}/api-tokens/{id}": .read
  ])
}
