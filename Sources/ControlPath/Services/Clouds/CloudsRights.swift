public import ServiceKit
import Wire

extension CloudsService {
  /// What each route needs. Volumes, snapshots and machines are made by the migration service's workflows; people who
  /// change them by hand need the right to configure. Where a target is, and whose secret is sent there, is the operator's
  /// to say: so far every address that a target may have is on the platform's own machine.
  public static let rights = RouteRights([
    "GET /v1/tenants/{tenant}/targets": .read,
    "PUT /v1/tenants/{tenant}/targets/{id}": .platform,
    "GET /v1/tenants/{tenant}/targets/{id}": .read,
    "DELETE /v1/tenants/{tenant}/targets/{id}": .platform,
    "GET /v1/tenants/{tenant}/gateways": .read,

    "PUT /v1/tenants/{tenant}/volumes/{id}": .configure,
    "GET /v1/tenants/{tenant}/volumes/{id}": .read,
    "DELETE /v1/tenants/{tenant}/volumes/{id}": .configure,
    "PUT /v1/tenants/{tenant}/volumes/{id}/attachment": .configure,
    "DELETE /v1/tenants/{tenant}/volumes/{id}/attachment": .configure,
    "PUT /v1/tenants/{tenant}/snapshots/{id}": .configure,
    "GET /v1/tenants/{tenant}/snapshots/{id}": .read,
    "DELETE /v1/tenants/{tenant}/snapshots/{id}": .configure,
    "PUT /v1/tenants/{tenant}/machines/{id}": .configure,
    "GET /v1/tenants/{tenant}/machines/{id}": .read,
    "DELETE /v1/tenants/{tenant}/machines/{id}": .configure,
    "POST /v1/tenants/{tenant}/machines/{id}/power": .migrate,
    "GET /v1/tenants/{tenant}/machines/{id}/console": .read,
    "GET /v1/tenants/{tenant}/machines/{id}/screenshot": .read,

    "GET /v1/tenants/{tenant}/ledger": .read,
    "GET /v1/tenants/{tenant}/leaks": .read,
    "DELETE /v1/tenants/{tenant}/owners/{owner}": .configure
  ])
}
