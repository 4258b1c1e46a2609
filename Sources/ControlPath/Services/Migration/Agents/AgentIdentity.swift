import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import ServiceKit
import Wire

/// The claims of an agent's access token.
struct AgentToken: Codable, Sendable {
  static let type = "godwit-agent+jwt"
  static let life = 3600
  var sub: String
  var tenant: String
  var cnf: SessionGrant.Confirmation
  var iat: Int
  var exp: Int
}

/// Who an agent is: its token, the key the token is bound to, and that each proof is used once.
struct AgentIdentity: Sendable {
  let orchestrator: Orchestrator

  /// Checks token and proof of a request.
  /// - Parameter expired: whether a token past its time will do (a renewal: the key is what counts).
  func source(of request: Request, expired: Bool = false) async throws -> SourceRow {
    guard let header = request.headers[.authorization], header.lowercased().hasPrefix("dpop "),
      let claims = try? CompactJWS.verify(
        String(header.dropFirst(5)), publicKey: orchestrator.configuration.key.publicKey, as: AgentToken.self,
        typ: AgentToken.type)
    else { throw Problem.tokenRefused }
    guard expired || claims.exp > orchestrator.now() else {
      throw Problem(
        code: "token_expired", status: 401, detail: "The access token is too old.",
        remedy: "Ask for a new one: POST /v1/agent/token.")
    }
    let key = try await proof(of: request, accessToken: String(header.dropFirst(5)))
    guard key.thumbprint == claims.cnf.jkt,
      let source = try await orchestrator.database.find(SourceRow.self, claims.tenant, claims.sub),
      source.thumbprint == key.thumbprint
    else { throw Problem.tokenRefused }
    return source
  }

  /// Verifies the `DPoP` header and remembers its `jti`.
  func proof(of request: Request, accessToken: String?) async throws -> PublicJWK {
    let now = orchestrator.now()
    guard let proof = request.headers[HTTPField.Name("DPoP")!] else { throw refused("there is none") }
    let (thumbprint, jti): (String, String)
    let url = orchestrator.configuration.publicURL + request.uri.path
    do {
      (thumbprint, jti) = try KeyProof.verify(
        proof, method: request.method.rawValue, url: url, accessToken: accessToken, now: now)
    } catch { throw refused("\(error)") }
    guard let key = try CompactJWS(parsing: proof).header.jwk else { throw refused("it carries no key") }
    let fresh = try await orchestrator.database.write { db -> Bool in
      try db.execute(sql: "DELETE FROM seenProof WHERE expiresAt < ?", arguments: [now])
      try db.execute(
        sql: "INSERT OR IGNORE INTO seenProof (thumbprint, jti, expiresAt) VALUES (?, ?, ?)",
        arguments: [thumbprint, jti, now + 2 * KeyProof.window])
      return db.changesCount == 1
    }
    guard fresh else { throw refused("it was used before") }
    return key
  }

  private func refused(_ why: String) -> Problem {
    Problem(
      code: "proof_refused", status: 401, detail: "The proof of the key is not good: \(why).",
      remedy: "Sign a new proof for each request; check clock and server address.")
  }

  func credential(for source: SourceRow) throws -> AgentCredential {
    let now = orchestrator.now()
    let claims = AgentToken(
      sub: source.id, tenant: source.tenant, cnf: .init(jkt: source.thumbprint), iat: now, exp: now + AgentToken.life)
    let token = try CompactJWS.sign(claims, header: .init(typ: AgentToken.type), with: orchestrator.configuration.key)
    return AgentCredential(
      tenant: source.tenant, source: source.id, accessToken: token, expiresIn: AgentToken.life)
  }
}
