public import ServiceKit
import Wire

extension LicensingService {
  /// What each route needs. Licences are the operator's to give; a tenant sees its own.
  public static let rights = RouteRights([
    "POST /v1/licences": .license,
    "POST /v1/licences/check": .operate,
    "GET /v1/licences": .license,
    "GET /v1/licences/{id}": .license,
    "DELETE /v1/licences/{id}": .license,
    "GET /v1/tenants/{tenant}/licences": .read,
    "GET /v1/tenants/{tenant}/licences/{id}": .read
  ])
}
