import HTTPTypes
public import Hummingbird
import NIOCore
public import Wire

/// What is known of one request while it is handled.
public struct ServiceContext: RequestContext {
  public var coreContext: CoreRequestContextStorage
  /// Names the request in logs and in `X-Request-ID`; the support code of an unexpected error. Its caller's, where that
  /// gave one (`RequestTrace`).
  public var requestID: String
  /// The IP address of the other end; nil on a Unix socket.
  public let peer: String?
  /// Who calls, once `TokenMiddleware` has checked.
  public var caller: Caller?

  public enum Caller: Hashable, Sendable {
    /// The holder of the installation's admin token: every tenant.
    case admin
    case service(ServiceToken)
    case user(AccessToken)
  }

  public init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    (requestID, peer) = ("", source.channel.remoteAddress?.ipAddress)
  }
}

extension ServiceContext {
  /// The tenant that the caller acts for: the token's; of a caller who may act for several, the path's.
  /// - Throws: `Problem` 404 where it is no possible id.
  public var tenant: String {
    get throws {
      if case .user(let token) = caller, let tenant = token.tenant { return tenant }
      return try parameter("tenant")
    }
  }

  /// What the tenant may have; nil for callers without bounds.
  public var limits: TenantLimits? {
    guard case .user(let token) = caller, token.tenant != nil else { return nil }
    return token.limits ?? TenantLimits()
  }

  /// A path parameter that is a possible id.
  /// - Throws: `Problem` 404 for any other.
  public func parameter(_ name: String) throws -> String {
    guard let value = parameters.get(name), Identifier.isValid(value) else { throw Problem.notFound(name) }
    return value
  }

  /// The IP address a request came from: what the front says that passed it on, else the other end's.
  /// - Parameter fronts: addresses of fronts; on a Unix socket everybody is one.
  public func address(of request: Request, _ fronts: Set<String> = []) -> String {
    if let peer, !fronts.contains(peer) { return peer }
    return request.headers[.forwardedFor].map { String($0.prefix(64)) } ?? peer ?? "local"
  }
}
