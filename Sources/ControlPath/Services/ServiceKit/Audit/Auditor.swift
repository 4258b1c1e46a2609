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
  let writer: any DatabaseWriter
  private let fronts: Set<String>

  /// - Parameter fronts: IP addresses of fronts, whose word is taken for where a request came from.
  public init(service: String, writer: any DatabaseWriter, fronts: Set<String> = []) {
    (self.service, self.writer, self.fronts) = (service, writer, fronts)
  }

  static var newID: String { "aud_" + Secret.text(bytes: 16) }

  /// Longest text of a field, in UTF-8 bytes: paths come from strangers.
  private static let longest = 256

  /// Handles a request that changes something.
  /// - Parameter refusals: which refusals leave an event, too: not those of strangers, who could fill the audit.
  public func during<Value>(
    _ request: Request, _ context: ServiceContext, tenant: String, actor: String,
    refusals: (any Error) -> Bool = { _ in true }, _ body: () async throws -> Value
  ) async throws -> Value {
    let trail = trail(request, context, tenant: tenant, actor: actor)
    do {
      let value = try await AuditTrail.$current.withValue(trail) { try await body() }
      if !trail.isKept { try await keep(trail.events()) }
      return value
    } catch {
      if refusals(error) { await note(error, of: trail, context) }
      throw error
    }
  }

  /// Handles a request of somebody who has shown who he is: all that may change something is audited, and whatever he may
  /// not do. A stranger's trying at a tenant stands among the events of his own.
  /// - Parameter isAllowed: throws where he may not.
  func watching<Value>(
    _ request: Request, _ context: ServiceContext, isAllowed: () throws -> Void, _ body: () async throws -> Value
  ) async throws -> Value {
    var tenant = context.parameters.get("tenant") ?? "*"
    if case .user(let token) = context.caller { tenant = token.tenant ?? "*" }
    if [.get, .head, .options].contains(request.method) {
      do { try isAllowed() } catch {
        await note(error, of: trail(request, context, tenant: tenant, actor: context.actor), context)
        throw error
      }
      return try await body()
    }
    return try await during(request, context, tenant: tenant, actor: context.actor) {
      try isAllowed()
      return try await body()
    }
  }

  /// What the service does of itself, as part of a transaction.
  public func note(_ action: String, object: String, _ database: GRDB.Database) throws {
    let event = AuditEvent(
      id: Self.newID, at: Int(Date().timeIntervalSince1970), service: service, tenant: "*",
      actor: "service:" + service, action: action, object: object)
    try AuditOutbox.add(event, database)
  }

  private func trail(_ request: Request, _ context: ServiceContext, tenant: String, actor: String) -> AuditTrail {
    AuditTrail(
      AuditEvent(
        id: Self.newID, at: Int(Date().timeIntervalSince1970), service: service, tenant: tenant,
        actor: Self.cut(actor), action: "\(request.method.rawValue) \(context.endpointPath ?? "")",
        object: Self.cut(Self.object(request.uri.path, tenant)), from: Self.cut(context.source(of: request, fronts)),
        request: RequestTrace.current?.requestID))
  }

  private func keep(_ events: [AuditEvent]) async throws {
    try await writer.write { database in
      for event in events { try AuditOutbox.add(event, database) }
    }
  }

  private func note(_ error: any Error, of trail: AuditTrail, _ context: ServiceContext) async {
    let problem = error as? Problem
    let status = problem?.status ?? (error as? HTTPError)?.status.code ?? 500
    let events = trail.events { event in
      // What was kept with a change stays; that the request failed after it is another event.
      if trail.isKept { event.id = Self.newID }
      event.object = Self.cut(event.object)
      (event.outcome, event.code) = (status < 500 ? .refused : .failed, problem?.code ?? "http_\(status)")
    }
    do { try await keep(events) } catch {
      context.logger.error("audit event not kept", metadata: ["audit.id": "\(events[0].id)", "error": "\(error)"])
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

/// Audits every request that may change something, where `TokenMiddleware` stands before it and has no auditor.
public struct AuditMiddleware: RouterMiddleware {
  public typealias Context = ServiceContext
  private let auditor: Auditor

  public init(_ auditor: Auditor) { self.auditor = auditor }

  public func handle(
    _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
  ) async throws -> Response {
    try await auditor.watching(request, context, isAllowed: {}) { try await next(request, context) }
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

  /// The address it came from: a service and a front say for whom they ask, anybody else is where the connection comes from.
  func source(of request: Request, _ fronts: Set<String>) -> String {
    guard case .service = caller, let said = request.headers[.forwardedFor] else { return address(of: request, fronts) }
    return said
  }
}
