import NIOHTTP1
import NIOCore
public import ServiceKit
import Wire

/// The other services, as the console reaches them.
public struct Platform: Sendable {
  /// Where each is.
  public struct Endpoints: Sendable {
    public var identity: RESTClient.Endpoint
    public var migration: RESTClient.Endpoint
    public var clouds: RESTClient.Endpoint
    public var operations: RESTClient.Endpoint
    public init(
      identity: RESTClient.Endpoint, migration: RESTClient.Endpoint, clouds: RESTClient.Endpoint,
      operations: RESTClient.Endpoint
    ) {
      (self.identity, self.migration) = (identity, migration)
      (self.clouds, self.operations) = (clouds, operations)
    }
  }

  enum Name: Sendable { case identity, migration, clouds, operations }

  let exchange: TokenExchange
  private let identity: RESTClient
  private let migration: RESTClient
  private let clouds: RESTClient
  private let operations: RESTClient

  /// - Throws: `ConfigurationError` for an address that cannot be used.
  init(_ endpoints: Endpoints) throws {
    exchange = try TokenExchange(endpoints.identity)
    identity = try RESTClient(name: "identity", endpoint: endpoints.identity)
    migration = try RESTClient(name: "migration", endpoint: endpoints.migration)
    clouds = try RESTClient(name: "clouds", endpoint: endpoints.clouds)
    operations = try RESTClient(name: "operations", endpoint: endpoints.operations)
  }

  func client(_ name: Name) -> RESTClient {
    switch name {
    case .identity: identity
    case .migration: migration
    case .clouds: clouds
    case .operations: operations
    }
  }
}
