import FoundationEssentials
public import GRDB
import HTTPTypes
public import Hummingbird
import Logging
import Wire

/// Sees to it that what is asked of a service leaves an audit event in its outbox: with the change itself where one is
/// made (`audited`), after it else.
public struct Auditor: Sendable {
  private let service: String
  private let writer: any DatabaseWriter

  public init(service: String, writer: any DatabaseWriter) { (self.service, self.writer) = (service, writer) }

  /// Longest text of a field, in UTF-8 bytes: paths come from strangers.
  private static let longest = 256

  /// Handles a request that changes something.
  /// - Parameter refusals: whether one that is refused leaves an event, too; not for strangers, who could fill the audit.
  public func during<Value>(
    _ request: Request, _ context: ServiceContext, tenant: String, actor: String, from: String?, refusals: Bool = true,
    _ body: () async throws -> Value
  ) async throws -> Value {
    let trail = AuditTrail(
      AuditEvent(
        id: "aud_" + Secret.text(bytes: 16), at: Int(Date().timeIntervalSince1970), service: service, tenant: tenant,
        actor: Self.cut(actor), action: "\(request.method.rawValue) \(context.endpointPath ?? "")",
        object: Self.cut(Self.object(request.uri.path, tenant)), from: from.map(Self.cut),
        request: RequestTrace.current?.requestID))
    do {
      let value = try await AuditTrail.$current.withValue(trail) { try await body() }
      if !trail.isKept { try await keep(trail.event) }
      return value
    } catch {
      if refusals { await note(error, of: trail, context) }
      throw error
    }
  }

  private func keep(_ event: AuditEvent) async throws { try await writer.write { try AuditOutbox.add(event, $0) } }

  private func note(_ error: any Error, of trail: AuditTrail, _ context: ServiceContext) async {
    let problem = error as? Problem
    let status = problem?.status ?? (error as? HTTPError)?.status.code ?? 500
    var event = trail.event
    // What was kept with a change stays; that the request failed after it is another event.
    event.id = trail.isKept ? "aud_" + Secret.text(bytes: 16) : event.id
    (event.outcome, event.code) = (status < 500 ? .refused : .failed, problem?.code ?? "http_\(status)")
    do { try await keep(event) } catch {
      context.logger.error("audit event not kept", metadata: ["audit.id": "\(event.id)", "error": "\(error)"])
    }
  }

  private static func object(_ path: String, _ tenant: String) -> String {
    let prefix = "/v1/tenants/\(tenant)/"
    return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path
  }

  private static func cut(_ text: String) -> String {
    text.utf8.count <= longest ? text : String(decoding: text.utf8.prefix(longest), as: UTF8.self) + "…"
  }
}

/// Audits every request of a tenant's that may change something. Stands behind `TokenMiddleware`.
public struct AuditMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let auditor: Auditor

  public init(_ auditor: Auditor) { self.auditor = auditor }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    guard ![.get, .head, .options].contains(request.method) else { return try await next(request, context) }
    return try await auditor.during(
      request, context, tenant: context.parameters.get("tenant") ?? "*", actor: context.actor,
      from: context.source(of: request)
    ) { try await next(request, context) }
  }
}

extension ServiceContext {
  /// Who asks, as the audit names it.
  var actor: String {
    switch caller {
    case .admin: "admin"
    case .service(let token): token.sub ?? "service:\(token.iss)"
    case .user(let token): token.sub
    case nil: "unknown"
    }
  }

  /// The address it came from: a service says for whom it asks, anybody else is where the connection comes from.
  func source(of request: Request) -> String {
    guard case .service = caller, let said = request.headers[.forwardedFor] else { return address(of: request) }
    return said
  }
}
