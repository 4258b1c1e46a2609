/// What a tenant may use at most. The platform's administrator sets them; access tokens carry them.
public struct TenantLimits: Codable, Hashable, Sendable {
  /// Requests a second to each service, on average; twice as many at once.
  public var requests: Int
  /// Sources, with the enrolment tokens that may still become some.
  public var sources: Int
  /// Migrations that are not done.
  public var migrations: Int
  /// Test machines at the same time.
  public var launches: Int
  public init(requests: Int = 50, sources: Int = 1000, migrations: Int = 1000, launches: Int = 20) {
    (self.requests, self.sources, self.migrations, self.launches) = (requests, sources, migrations, launches)
  }

  /// What is possible at all.
  public static let range = 1...1_000_000
}
