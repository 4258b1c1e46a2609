import FoundationEssentials
import NIOCore
import Synchronization
public import Wire

/// The agent's side of the protocol with the migration service (`AgentProtocol.swift` of Wire).
public final class ServiceClient: Sendable {
  private let client: SecureClient
  private let base: String
  private let credential: Mutex<Held>
  /// Tells this start of the process from others: two that use one identity are found by it.
  private let instance = String(UInt64.random(in: .min ... .max), radix: 36)

  private struct Held {
    var credential: AgentCredential?
    /// When half of its life is over.
    var renewal: ContinuousClock.Instant = .now
  }

  /// - Parameters:
  ///   - base: `https://HOST[:PORT]`.
  ///   - credential: as the enrolment gave it, possibly long expired; nil before.
  public init(client: SecureClient, base: String, credential: AgentCredential? = nil) {
    self.client = client
    self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
    self.credential = Mutex(Held(credential: credential))
  }

  /// Exchanges a single-use token for an identity. May be repeated with the same key until it succeeds.
  /// - Throws: `TransportError`; `.refused` with `token_unknown`, `token_used` or `token_expired`.
  public func enrol(_ request: EnrolmentRequest) async throws -> AgentCredential {
    let answer = try await post("/v1/enrolments", request, token: nil)
    return store(try decode(AgentCredential.self, from: answer))
  }

  /// A fresh access token for the key.
  @discardableResult
  public func renew() async throws -> AgentCredential {
    let old = credential.withLock { $0.credential?.accessToken }
    let answer = try await client.send(.post, base + "/v1/agent/token", token: old, body: ByteBuffer(string: "{}"))
    return store(try decode(AgentCredential.self, from: answer))
  }

  /// The commands not yet reported as ended. Commands this version does not know come back with a nil body.
  /// - Parameter wait: seconds the server may hold the request.
  public func commands(wait: Int) async throws -> [ReceivedCommand] {
    let answer = try await authorized { token in
      try await client.send(
        .get, base + "/v1/agent/commands?wait=\(wait)&instance=\(instance)", token: token,
        timeout: .seconds(Int64(wait) + 30))
    }
    return try decode([ReceivedCommand].self, from: answer)
  }

  /// Tells how a command goes. May be repeated.
  public func report(_ report: AgentReport) async throws {
    _ = try await authorized { token in try await post("/v1/agent/reports?instance=\(instance)", report, token: token) }
  }

  private func authorized(_ body: (String) async throws -> SecureClient.Answer) async throws -> SecureClient.Answer {
    let (token, due) = credential.withLock { ($0.credential?.accessToken, ContinuousClock.now >= $0.renewal) }
    guard let token, !due else { return try await body(renew().accessToken) }
    do { return try await body(token) } catch TransportError.refused(let problem, _) where problem.status == 401 {
      return try await body(renew().accessToken)
    }
  }

  private func store(_ new: AgentCredential) -> AgentCredential {
    credential.withLock { $0 = Held(credential: new, renewal: .now + .seconds(new.expiresIn / 2)) }
    return new
  }

  private func post(_ path: String, _ value: some Encodable, token: String?) async throws -> SecureClient.Answer {
    let body = ByteBuffer(bytes: try JSONEncoder().encode(value))
    return try await client.send(.post, base + path, token: token, body: body)
  }

  private func decode<Value: Decodable>(_ type: Value.Type, from answer: SecureClient.Answer) throws -> Value {
    do { return try JSONDecoder().decode(type, from: Data(answer.body.readableBytesView)) } catch {
      throw TransportError.badAnswer(host: TransportError.authority(of: base), reason: "\(type): \(error)")
    }
  }
}

/// A command as it came: one that a newer service invented keeps its id, so that it can be refused by name.
public struct ReceivedCommand: Decodable, Hashable, Sendable {
  public let id: String
  /// Nil: unknown to this version.
  public let body: AgentCommand.Body?

  private enum Keys: String, CodingKey { case id, body }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    id = try container.decode(String.self, forKey: .id)
    body = try? container.decode(AgentCommand.Body.self, forKey: .body)
  }
}
