import FoundationEssentials
import NIOCore
import NIOHTTP1
import ServiceKit
import Wire

/// Somebody who asks the platform through the console: by a session, or as a stranger who is about to sign in. What they
/// may do is judged by the services, never here.
struct Person: Sendable {
  let platform: Platform
  /// The session's; nil for a stranger.
  let secret: String?
  /// The address they come from, as services note it.
  let address: String

  /// One request. What a session cannot ask itself (all but `/v1/session`) is asked with a short token made from it.
  /// - Parameter tenant: nil: the platform itself.
  func send(
    _ method: HTTPMethod, _ service: Platform.Name, _ path: String, tenant: String?, body: ByteBuffer? = nil,
    limit: Int = 8 << 20
  ) async throws -> ByteBuffer {
    guard let secret else { throw Problem.signInNeeded }
    let token = try await platform.exchange.accessToken(for: secret, tenant: tenant)
    return try await platform.client(service).send(method, path, body: body, headers: headers(token), limit: limit)
  }

  /// A request to the identity service with the session itself, or with nothing.
  func sendSession(_ method: HTTPMethod, _ path: String, body: ByteBuffer? = nil) async throws -> ByteBuffer {
    try await platform.client(.identity).send(method, path, body: body, headers: headers(secret))
  }

  private func headers(_ token: String?) -> HTTPHeaders {
    var headers: HTTPHeaders = ["X-Forwarded-For": address]
    if let token { headers.add(name: "Authorization", value: "Bearer " + token) }
    return headers
  }

  static func encode(_ value: some Encodable) throws -> ByteBuffer {
    ByteBuffer(bytes: try JSONEncoder().encode(value))
  }

  /// - Throws: `Problem` 502 for an answer of another shape.
  static func decode<Value: Decodable>(_ buffer: ByteBuffer, as type: Value.Type = Value.self) throws -> Value {
    do { return try JSONDecoder().decode(type, from: Data(buffer.readableBytesView)) } catch {
      throw Problem(
        code: "unexpected_answer", status: 502, detail: "A service answered with something that is no \(type).",
        remedy: "Check that all services are of the same version.")
    }
  }
}

extension Person {
  func session() async throws -> IdentityAPI.Session { try Self.decode(try await sendSession(.GET, "/v1/session")) }

  func signIn(_ wish: IdentityAPI.SignIn) async throws -> IdentityAPI.Session {
    try Self.decode(try await sendSession(.POST, "/v1/sessions", body: try Self.encode(wish)))
  }

  func signOut() async throws { _ = try await sendSession(.DELETE, "/v1/session") }

  func accept(_ wish: IdentityAPI.Acceptance) async throws -> IdentityAPI.Member {
    try Self.decode(try await sendSession(.POST, "/v1/invitations/accept", body: try Self.encode(wish)))
  }
}

extension Problem {
  /// 401: there is no session, or it is over.
  static let signInNeeded = Problem(
    code: "sign_in_needed", status: 401, detail: "There is no session.", remedy: "Sign in.")
}
