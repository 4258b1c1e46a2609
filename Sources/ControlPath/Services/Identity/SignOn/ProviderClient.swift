import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit
import Wire

/// One OpenID Connect provider, as its discovery document describes it (OpenID Connect Discovery 1.0).
struct ProviderClient: Sendable {
  struct Metadata: Decodable, Sendable {
    var issuer: String
    var authorizationEndpoint: String
    var tokenEndpoint: String
    var jwksURI: String

    private enum CodingKeys: String, CodingKey {
      case issuer
      case authorizationEndpoint = "authorization_endpoint"
      case tokenEndpoint = "token_endpoint"
      case jwksURI = "jwks_uri"
    }
  }

  private struct TokenAnswer: Decodable {
    var idToken: String
    private enum CodingKeys: String, CodingKey { case idToken = "id_token" }
  }

  /// Bytes of the longest answer taken.
  private static let limit = 1 << 20
  let name: String
  let issuer: String

  /// - Throws: `Problem` 502 or 503 that names the provider.
  func metadata() async throws -> Metadata {
    let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
    let found: Metadata = try decode(try await get(base + "/.well-known/openid-configuration"))
    guard found.issuer == issuer else { throw failed("its discovery document names another issuer") }
    for address in [found.authorizationEndpoint, found.tokenEndpoint, found.jwksURI] {
      // One that is elsewhere leads nobody to this machine.
      guard ProviderAddress.isGood(address), address.hasPrefix("https://") || issuer.hasPrefix("http://") else {
        throw failed("its discovery document names an address without TLS")
      }
    }
    return found
  }

  /// The provider's keys, as JSON.
  func keys(_ metadata: Metadata) async throws -> [UInt8] { Array(buffer: try await get(metadata.jwksURI)) }

  /// Exchanges a code for an ID token (RFC 6749, 4.1.3; RFC 7636).
  /// - Throws: `Problem` 401 where the provider does not take it.
  func idToken(
    _ metadata: Metadata, code: String, redirectURI: String, verifier: String, clientID: String, secret: String
  ) async throws -> String {
    let form = [
      ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirectURI), ("code_verifier", verifier)
    ].map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
    let basic = Data("\(Self.encoded(clientID)):\(Self.encoded(secret))".utf8).base64EncodedString()
    let answer: ByteBuffer
    do {
      answer = try await client(metadata.tokenEndpoint) { "Basic " + basic }.send(
        .POST, "", body: ByteBuffer(string: form), type: "application/x-www-form-urlencoded",
        headers: ["Accept": "application/json"], limit: Self.limit)
    } catch let problem as Problem where problem.code == "unexpected_answer" {
      throw SignOn.refused("The provider did not take the code.")
    }
    return try (decode(answer) as TokenAnswer).idToken
  }

  private func get(_ url: String) async throws -> ByteBuffer {
    try await client(url) { nil }.send(.GET, "", headers: ["Accept": "application/json"], limit: Self.limit)
  }

  private func client(_ url: String, _ authorization: @escaping @Sendable () throws -> String?) throws -> RESTClient {
    try RESTClient(
      name: "the sign-on provider \(name)", endpoint: .web(url: url, ca: nil), timeout: .seconds(10),
      authorization: authorization)
  }

  private func decode<Value: Decodable>(_ buffer: ByteBuffer) throws -> Value {
    do { return try JSONDecoder().decode(Value.self, from: Data(buffer.readableBytesView)) } catch {
      throw failed("its answer is not what OpenID Connect asks for")
    }
  }

  private func failed(_ why: String) -> Problem {
    Problem(
      code: "sign_on_provider_failed", status: 502, detail: "The sign-on provider \(name) cannot be used: \(why).",
      remedy: "The platform's administrator checks its issuer and what it serves at /.well-known/openid-configuration.")
  }

  static func encoded(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
  }

  private static let unreserved = CharacterSet(
    charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}
