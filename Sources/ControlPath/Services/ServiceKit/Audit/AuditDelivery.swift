public import Wire

/// Where a service delivers its audit events, and the key that signs its tokens there.
public struct AuditDelivery: Sendable {
  public var operations: RESTClient.Endpoint
  public var key: AgentKey
  public init(operations: RESTClient.Endpoint, key: AgentKey) { (self.operations, self.key) = (operations, key) }
}
