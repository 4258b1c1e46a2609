public import Hummingbird
import Logging

/// What is known of one request while it is handled.
public struct ServiceContext: RequestContext {
  public var coreContext: CoreRequestContextStorage
  /// Names the request in logs and in `X-Request-ID`; the support code of an unexpected error. Its caller's, where that
  /// gave one (`RequestTrace`).
  public var requestID: String
  /// Who calls, once `ServiceTokenMiddleware` or `AdminTokenMiddleware` has checked.
  public var caller: Caller?
  /// The other end of the connection; nil on a Unix socket.
  let remoteAddress: String?

  public enum Caller: Hashable, Sendable {
    /// The holder of the installation's admin token: every tenant.
    case admin
    case service(ServiceToken)
  }

  public init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    (requestID, remoteAddress) = ("", source.channel.remoteAddress?.ipAddress)
  }
}
