import Crypto
import Foundation
import GRDB
import ServiceKit
import Wire

/// Users sign in at a provider of their own, and come back with its word.
struct SignOn: Sendable {
  /// Seconds between sending a browser away and its coming back.
  static let patience = 600

  /// What comes back with the browser; sealed, so that only this service reads and makes it.
  private struct State: Codable {
    var provider: String
    var redirectURI: String
    var nonce: String
    /// Of PKCE (RFC 7636).
    var verifier: String
    var expiresAt: Int
  }

  let database: IdentityDatabase
  let providers: SignOnProviders
  let signIn: SignIn
  let limit: SignInLimit
  let box: SecretBox
  let now: @Sendable () -> Int

  /// - Parameter address: the IP address that asks; each way to the provider counts as a try until somebody comes back.
  func begin(_ id: String, _ wish: IdentityAPI.SignOnWish, from address: String) async throws
    -> IdentityAPI.SignOnBeginning
  {
    let provider = try await providers.find(id)
    guard ProviderAddress.matches(wish.redirectURI, oneOf: provider.redirectURIs) else {
      throw Problem.malformed("'redirectURI' is none of the provider's.")
    }
    try await limit.begin(email: nil, address: address)
    let metadata = try await ProviderClient(name: provider.name, issuer: provider.issuer).metadata()
    let state = State(
      provider: id, redirectURI: wish.redirectURI, nonce: Secret.text(bytes: 16), verifier: Secret.text(bytes: 32),
      expiresAt: now() + Self.patience)
    let sealed = try box.seal(String(decoding: try JSONEncoder().encode(state), as: UTF8.self), of: Self.owner)
    let text = Base64URL.encode(sealed)
    let challenge = Base64URL.encode(SHA256.hash(data: Array(state.verifier.utf8)))
    let query = [
      ("response_type", "code"), ("client_id", provider.clientID), ("redirect_uri", wish.redirectURI),
      ("scope", "openid email profile"), ("state", text), ("nonce", state.nonce), ("code_challenge", challenge),
      ("code_challenge_method", "S256")
    ].map { "\($0)=\(ProviderClient.encoded($1))" }.joined(separator: "&")
    let separator = metadata.authorizationEndpoint.contains("?") ? "&" : "?"
    return .init(url: metadata.authorizationEndpoint + separator + query, state: text, expiresIn: Self.patience)
  }

  /// A new session for whom the provider names.
  /// - Throws: `Problem` 401 `sign_on_refused`; 409 where the address is another user's.
  func complete(_ id: String, _ wish: IdentityAPI.SignOnReturn, from address: String) async throws
    -> IdentityAPI.Session
  {
    let provider = try await providers.find(id)
    let state = try open(wish.state, of: id)
    try await limit.begin(email: nil, address: address)
    let client = ProviderClient(name: provider.name, issuer: provider.issuer)
    let metadata = try await client.metadata()
    let text = try await client.idToken(
      metadata, code: wish.code, redirectURI: state.redirectURI, verifier: state.verifier, clientID: provider.clientID,
      secret: try providers.secret(of: provider))
    let token: IDToken
    do {
      token = try await IDToken.checked(
        text, keys: try await client.keys(metadata), issuer: provider.issuer, clientID: provider.clientID,
        nonce: state.nonce, now: Double(now()))
    } catch let refusal as IDToken.Refused { throw Self.refused("The provider's word is not good: \(refusal).") }
    let user = try await user(token, provider)
    try await signIn.audit(user)
    guard !user.disabled else { throw SignIn.refused }
    for _ in 0..<2 { try await limit.succeed(email: nil, address: address) }
    return try await signIn.open(user)
  }

  private func open(_ text: String, of provider: String) throws -> State {
    guard text.utf8.count <= 4096, let sealed = Base64URL.decode(text),
      let json = try? box.open(Data(sealed), of: Self.owner),
      let state = try? JSONDecoder().decode(State.self, from: Data(json.utf8)), state.provider == provider,
      state.expiresAt > now()
    else { throw Self.refused("The sign-in was not begun here, or took too long.") }
    return state
  }

  /// Made at the first sign-in. One who is there already is never taken over by an address.
  private func user(_ token: IDToken, _ provider: SignOnProviderRecord) async throws -> UserRecord {
    let time = now()
    let known = try await database.pool.read { db -> UserRecord? in
      guard let link = try SignOnIdentityRecord.fetchOne(db, key: ["issuer": token.iss, "subject": token.sub]) else {
        return nil
      }
      return try UserRecord.fetchOne(db, key: link.user)
    }
    if let known { return known }
    guard let claimed = token.email, token.emailVerified != false, let email = try? SignIn.checked(email: claimed)
    else {
      throw Self.refused("The provider names no verified e-mail address.")
    }
    let name = token.name.flatMap { try? SignIn.checked(name: $0) } ?? email
    return try await database.pool.write { db in
      guard try UserRecord.filter(Column("email") == email).fetchCount(db) == 0 else {
        throw Problem.conflict(
          "There is a user \(email) who does not sign in by this provider.", remedy: "Sign in with your password.")
      }
      let user = UserRecord(
        id: Identifier.make("usr"), email: email, name: name, password: PasswordHash.none, platformRole: nil,
        disabled: false, createdAt: time)
      try user.insert(db)
      try SignOnIdentityRecord(issuer: token.iss, subject: token.sub, user: user.id).insert(db)
      try MembershipRecord(tenant: provider.tenant, user: user.id, role: provider.role, since: time).insert(db)
      return user
    }
  }

  private static let owner = "godwit-sign-on-state-1"

  static func refused(_ why: String) -> Problem {
    Problem(code: "sign_on_refused", status: 401, detail: why, remedy: "Begin again; ask the platform's administrator.")
  }
}
