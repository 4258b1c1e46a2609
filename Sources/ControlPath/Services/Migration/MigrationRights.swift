public import ServiceKit
import Wire

extension MigrationService {
  /// What the routes of tenants need. Agents' routes are judged by key proofs.
  public static let rights = RouteRights([
    "POST /v1/tenants/{tenant}/enrolment-tokens": .configure,
    "GET /v1/tenants/{tenant}/sources": .read,
    "GET /v1/tenants/{tenant}/sources/{id}": .read,
    "POST /v1/tenants/{tenant}/sources/{id}/clear": .configure,
    "DELETE /v1/tenants/{tenant}/sources/{id}": .configure,
    "GET /v1/tenants/{tenant}/events": .read,
    "GET /v1/tenants/{tenant}/seats": .read,

    "GET /v1/tenants/{tenant}/migrations": .read,
    "POST /v1/tenants/{tenant}/migrations": .migrate,
    "GET /v1/tenants/{tenant}/migrations/{id}": .read,
    "PATCH /v1/tenants/{tenant}/migrations/{id}": .migrate,
    "DELETE /v1/tenants/{tenant}/migrations/{id}": .migrate,
    "GET /v1/tenants/{tenant}/migrations/{id}/syncs": .read,
    "POST /v1/tenants/{tenant}/migrations/{id}/syncs": .migrate,
    "GET /v1/tenants/{tenant}/migrations/{id}/points": .read,
    "GET /v1/tenants/{tenant}/migrations/{id}/events": .read,
    "GET /v1/tenants/{tenant}/migrations/{id}/launches": .read,
    "POST /v1/tenants/{tenant}/migrations/{id}/launches": .migrate,
    "POST /v1/tenants/{tenant}/migrations/{id}/switch": .migrate,
    "POST /v1/tenants/{tenant}/migrations/{id}/switch/abort": .migrate,
    "POST /v1/tenants/{tenant}/migrations/{id}/rollback": .migrate,
    "POST /v1/tenants/{tenant}/migrations/{id}/finish": .migrate,

    "GET /v1/tenants/{tenant}/syncs/{id}": .read,
    "GET /v1/tenants/{tenant}/points/{id}": .read,
    "GET /v1/tenants/{tenant}/points/{id}/evidence": .read,
    "POST /v1/tenants/{tenant}/points/{id}/verify": .migrate,
    "GET /v1/tenants/{tenant}/launches/{id}": .read,
    "DELETE /v1/tenants/{tenant}/launches/{id}": .migrate,
    "GET /v1/tenants/{tenant}/launches/{id}/screenshot": .read
  ])
}
