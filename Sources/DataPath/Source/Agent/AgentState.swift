import FoundationEssentials

/// The state folder: the identity and nothing else.
public struct AgentState: Sendable {
  private let places: AgentPlaces

  public init(places: AgentPlaces) { self.places = places }

  /// Nil before the enrolment.
  public func identity() throws -> Identity? {
    guard let bytes = try PrivateFile.read(places.identity) else { return nil }
    do { return try JSONDecoder().decode(Identity.self, from: Data(bytes)) } catch {
      throw AgentError(
        "\(places.identity) cannot be understood: \(error)",
        remedy: "run `godwit-agent uninstall`, then enrol again with a new token")
    }
  }

  public func save(_ identity: Identity) throws {
    try PrivateFile.write(Array(JSONEncoder().encode(identity)), to: places.identity)
  }
}
