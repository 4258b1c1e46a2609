public import Transport
public import Wire

/// Who this agent is: made at enrolment, kept in the state folder, gone with the uninstall.
public struct Identity: Codable, Sendable {
  /// `https://HOST[:PORT]` of the migration service.
  public var server: String
  public var connection: ConnectionSettings
  public var credential: AgentCredential
  /// The 32 secret bytes of the agent's key, base64url.
  private var secret: String

  public init(server: String, connection: ConnectionSettings, credential: AgentCredential, key: AgentKey) {
    (self.server, self.connection, self.credential) = (server, connection, credential)
    secret = Base64URL.encode(key.rawRepresentation)
  }

  /// - Throws: where the stored key is damaged.
  public func key() throws -> AgentKey {
    guard let bytes = Base64URL.decode(secret), let key = try? AgentKey(rawRepresentation: bytes) else {
      throw AgentError(
        "the stored key is damaged", remedy: "run `godwit-agent uninstall`, then enrol again with a new token")
    }
    return key
  }
}
