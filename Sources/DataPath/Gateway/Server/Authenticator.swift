import HTTPTypes
import Hummingbird
import HummingbirdCore
import Synchronization
import Wire

/// Decides who may speak: a grant signed by an issuer, and a proof by the key the grant is bound to.
final class Authenticator: Sendable {
  /// Who sent a request, proven.
  struct Caller: Sendable {
    var grant: SessionGrant
    /// 32 bytes: what the agent's seals are signed with.
    var publicKey: [UInt8]
  }

  private let issuers: [[UInt8]]
  private let replays: ReplayCache
  private let now: @Sendable () -> Int
  /// Grants whose signature was checked, so that it is not checked again for each frame.
  private let verified = Mutex<[String: SessionGrant]>([:])
  private static let rememberedGrants = 1024

  /// - Parameters:
  ///   - issuers: Ed25519 public keys, 32 bytes each.
  ///   - now: seconds since 1970.
  init(issuers: [[UInt8]], now: @escaping @Sendable () -> Int) {
    (self.issuers, self.now) = (issuers, now)
    replays = ReplayCache(now: now())
  }

  /// The caller of a request about `session`.
  ///
  /// - Throws: `Problem`: 401 where it is not proven, 403 where the grant does not cover it.
  func authenticate(_ request: Request, session: String) throws(Problem) -> Caller {
    guard let header = request.headers[.authorization], header.hasPrefix("DPoP ") else {
      throw .proofRefused("there is no Authorization: DPoP")
    }
    let token = String(header.dropFirst(5))
    let grant = try grant(token)
    guard grant.exp > now() else { throw .grantRefused("it has expired") }
    guard grant.session == session else { throw .grantRefused("it is for another session") }
    return Caller(grant: grant, publicKey: try prove(request, token: token, grant: grant))
  }

  /// The grant of a request that only an issuer of grants may make: it is bound to an issuer's own key.
  func authenticateIssuer(_ request: Request, session: String) throws(Problem) -> SessionGrant {
    let caller = try authenticate(request, session: session)
    guard issuers.contains(caller.publicKey) else { throw .grantRefused("only its issuer may conclude a session") }
    return caller.grant
  }

  private func grant(_ token: String) throws(Problem) -> SessionGrant {
    if let known = verified.withLock({ $0[token] }) { return known }
    for issuer in issuers {
      let grant: SessionGrant
      do { grant = try CompactJWS.verify(token, publicKey: issuer, as: SessionGrant.self) } catch {
        if case CompactJWS.Failure.wrongSignature = error { continue }
        throw .grantRefused("\(error)")
      }
      guard !grant.disks.isEmpty, grant.disks.count <= Int(UInt16.max),
        Set(grant.disks.map(\.volume)).count == grant.disks.count
      else { throw .grantRefused("its list of disks is empty or names a volume twice") }
      verified.withLock { verified in
        if verified.count >= Self.rememberedGrants { verified.removeAll() }
        verified[token] = grant
      }
      return grant
    }
    throw .grantRefused("no known issuer signed it")
  }

  /// The agent's public key, from a proof by the grant's key that was never seen before.
  private func prove(_ request: Request, token: String, grant: SessionGrant) throws(Problem) -> [UInt8] {
    guard let field = HTTPField.Name("DPoP"), let proof = request.headers[field] else {
      throw .proofRefused("there is no DPoP header")
    }
    let url = "https://\(request.head.authority ?? "")\(request.uri.path)"
    let now = now()
    do {
      let (thumbprint, jti) = try KeyProof.verify(
        proof, method: request.method.rawValue, url: url, accessToken: token, now: now)
      guard thumbprint == grant.cnf.jkt else { throw Problem.proofRefused("it is by another key than the grant's") }
      switch replays.use(jti, of: thumbprint, now: now) {
      case .first: break
      case .used: throw Problem.proofRefused("it was used before")
      case .full: throw Problem.busy("too many requests within a few minutes")
      }
      guard let key = try CompactJWS(parsing: proof).header.jwk?.rawRepresentation else {
        throw Problem.proofRefused("it carries no key")
      }
      return key
    } catch let problem as Problem { throw problem } catch { throw .proofRefused("\(error)") }
  }
}
