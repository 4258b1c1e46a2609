import HTTPTypes
import Hummingbird
import Logging
import ServiceKit
import Wire

/// The service's REST face, `AuditAPI` as JSON; described in api/operations.yaml.
struct OperationsRoutes: Sendable {
  let log: AuditLog
  let logger: Logger

  static let longestExport = 1000

  func add(to router: Router<ServiceContext>, tokens: TokenMiddleware) {
    router.group("v1/tenants/{tenant}/audit").add(middleware: tokens).get("") { request, context in
      let page = try await log.list(
        tenant: try context.tenant, before: try number("after", of: request), limit: request.limit())
      return try JSONAnswer(page)
    }
    let platform = router.group("v1/audit").add(middleware: tokens)
    platform.get("export") { request, context in
      if case .service = context.caller { _ = try platformService(context) }
      let limit = request.limit(given: Self.longestExport, atMost: Self.longestExport)
      return try JSONAnswer(try await log.export(after: try number("after", of: request) ?? 0, limit: limit))
    }
    platform.post("events") { request, context in
      let service = try platformService(context).iss
      let events = try await request.json(AuditAPI.Delivery.self).events
      guard events.count <= AuditAPI.Delivery.most, events.allSatisfy({ $0.service == service && !$0.id.isEmpty })
      else {
        throw Problem.malformed("A delivery has at most \(AuditAPI.Delivery.most) events, all of the calling service.")
      }
      if let (head, signed) = try await log.append(events) {
        logger.info(
          "audit head",
          metadata: ["audit.seq": "\(head.seq)", "audit.hash": "\(head.hash)", "audit.head": "\(signed)"])
      }
      return HTTPResponse.Status.noContent
    }
  }

  /// The calling service, if its token is for every tenant.
  private func platformService(_ context: ServiceContext) throws -> ServiceToken {
    guard case .service(let token) = context.caller, token.tenant == "*" else { throw Problem.notFound("page") }
    return token
  }

  private func number(_ name: Substring, of request: Request) throws -> Int64? {
    guard let text = request.uri.queryParameters[name] else { return nil }
    guard let number = Int64(text) else { throw Problem.malformed("'\(name)' is no number.") }
    return number
  }
}
