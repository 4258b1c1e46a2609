/// What the person at the source has to know: what failed, and what to do.
public struct AgentError: Error, Hashable, Sendable, CustomStringConvertible {
  public var failure: String
  public var remedy: String
  public init(_ failure: String, remedy: String) { (self.failure, self.remedy) = (failure, remedy) }
  public var description: String { "\(failure); \(remedy)" }
}
