/// Who did what to what, from where, and what came of it. Kept by the operations service (`AuditRecord`).
public struct AuditEvent: Codable, Hashable, Sendable {
  public enum Outcome: String, Codable, Sendable {
    case done
    /// The caller may not, or it cannot be done now: `code` says why.
    case refused
    /// The service could not.
    case failed
  }
  /// Made by the service that saw it; an event that comes again under the same id is the same event.
  public var id: String
  /// Seconds since 1970.
  public var at: Int
  /// The service that was asked: `migration`.
  public var service: String
  /// `*` where it concerns no single one.
  public var tenant: String
  /// `admin`, a user, `service:migration`, or `agent:THUMBPRINT`.
  public var actor: String
  /// Method and route template: `POST /v1/tenants/{tenant}/migrations/{id}/switch`.
  public var action: String
  /// `migration mig-...`, or the path below the tenant.
  public var object: String
  /// Address of the caller as the front saw it; nil for a service on the same machine.
  public var from: String?
  /// `X-Request-ID`, as in logs and problems.
  public var request: String?
  public var outcome: Outcome
  /// The problem's code.
  public var code: String?

  public init(
    id: String, at: Int, service: String, tenant: String, actor: String, action: String, object: String,
    from: String? = nil, request: String? = nil, outcome: Outcome = .done, code: String? = nil
  ) {
    (self.id, self.at, self.service, self.tenant) = (id, at, service, tenant)
    (self.actor, self.action, self.object) = (actor, action, object)
    (self.from, self.request, self.outcome, self.code) = (from, request, outcome, code)
  }
}

/// The audit's REST values.
public enum AuditAPI {
  /// `POST /v1/audit/events`, by services: at most 100, taken as a whole; those that are known already are left out.
  public struct Delivery: Codable, Hashable, Sendable {
    public static let most = 100
    public var events: [AuditEvent]
    public init(events: [AuditEvent]) { self.events = events }
  }

  /// `GET /v1/tenants/{tenant}/audit`: an item of a page, newest first.
  public struct Entry: Codable, Hashable, Sendable {
    public var seq: Int64
    public var hash: String
    public var event: AuditEvent
    public init(seq: Int64, hash: String, event: AuditEvent) { (self.seq, self.hash, self.event) = (seq, hash, event) }
  }

  /// `GET /v1/audit/export`: records of every tenant, oldest first.
  public struct Export: Codable, Hashable, Sendable {
    public var records: [AuditRecord]
    /// Give it as `after` to go on; nil at the end.
    public var next: Int64?
    /// The newest head, signed (`AuditHead`); nil while there is no record.
    public var head: String?
    /// The key it is signed with: 32 bytes, base64url.
    public var key: String
    public init(records: [AuditRecord], next: Int64?, head: String?, key: String) {
      (self.records, self.next, self.head, self.key) = (records, next, head, key)
    }
  }
}
