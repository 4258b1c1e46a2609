public import Foundation
public import ServiceKit

/// What the identity service needs to know at start.
public struct IdentityConfiguration: Sendable {
  /// Its own folder (0700): `identity.sqlite` and the private signing keys.
  public var folder: String
  public var bindings: [HTTPServer.Binding]
  /// Whose holder is the platform's administrator, also before there is any user.
  public var bootstrap: AdminToken?
  /// IP addresses of fronts, whose word is taken for where a request came from; a Unix socket's is always.
  public var fronts: Set<String>
  /// Without it audit events stay in the outbox.
  public var audit: AuditDelivery?
  /// What a guess of a password costs.
  public var passwordCost: PasswordHash.Cost
  /// Seconds since 1970.
  public var now: @Sendable () -> Double

  public init(
    folder: String, bindings: [HTTPServer.Binding], bootstrap: AdminToken?, fronts: Set<String> = [],
    audit: AuditDelivery? = nil,
    passwordCost: PasswordHash.Cost = .standard,
    now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
  ) {
    (self.folder, self.bindings, self.bootstrap) = (folder, bindings, bootstrap)
    (self.fronts, self.audit) = (fronts, audit)
    (self.passwordCost, self.now) = (passwordCost, now)
  }
}
