/// A program was started with settings it cannot work with. Said at start, before anything else happens.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, on what, why.
  public var problem: String
  /// What to do.
  public var remedy: String
  public init(_ problem: String, remedy: String) { (self.problem, self.remedy) = (problem, remedy) }
  public var description: String { "\(problem) \(remedy)" }
}
