public import Machines
import NIOPosix
public import Transport
import Wire

/// Exchanges a single-use token for an identity.
public enum Enrolment {
  /// The version that the agent reports.
  public static let version = "1.0.0"

  /// - Throws: `TransportError`: `.refused` with `token_unknown`, `token_used` or `token_expired`, `.wrongCertificate`,
  ///   `.unreachable`, `.proxyRefused`.
  public static func enrol(
    server: String, connection: ConnectionSettings, token: String, machine: MachineDescription
  ) async throws -> Identity {
    guard server.hasPrefix("https://"), server.count > 8 else {
      throw AgentError("\(server) is no https:// address", remedy: "paste the command again as the console shows it")
    }
    let key = AgentKey()
    let client = try SecureClient(
      settings: connection, key: key, group: MultiThreadedEventLoopGroup.singleton, connections: 1)
    do {
      let service = ServiceClient(client: client, base: server)
      let credential = try await service.enrol(.init(token: token, agentVersion: version, machine: machine))
      try await client.shutdown()
      return Identity(server: server, connection: connection, credential: credential, key: key)
    } catch {
      try? await client.shutdown()
      throw error
    }
  }
}
