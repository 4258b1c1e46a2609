import Foundation
import JWTKit

/// What a provider says of who signed in (OpenID Connect Core 1.0, 2).
struct IDToken: JWTPayload {
  var iss: String
  var sub: String
  var aud: Audience
  var azp: String?
  var exp: Double
  var iat: Double
  var nonce: String?
  var email: String?
  var emailVerified: Bool?
  var name: String?

  /// One name or several. (JWTKit's own ends the process where there is none.)
  struct Audience: Codable {
    var names: [String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      names = try (try? [container.decode(String.self)]) ?? container.decode([String].self)
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(names)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case iss, sub, aud, azp, exp, iat, nonce, email, name
    case emailVerified = "email_verified"
  }

  /// Seconds by which the provider's clock may differ.
  static let skew = 120.0

  struct Refused: Error, CustomStringConvertible {
    let description: String
  }

  /// The claims are checked by `checked`: they need more than the token knows.
  func verify(using algorithm: some JWTAlgorithm) throws {
    // Whoever knows the client's secret or the public key could sign with an algorithm of one key for both.
    guard !algorithm.name.hasPrefix("HS"), algorithm.name != "none" else {
      throw Refused(description: "it is signed by a shared secret")
    }
  }

  /// - Parameters:
  ///   - keys: the provider's, a JWK set as JSON.
  ///   - now: seconds since 1970.
  /// - Throws: `Refused`.
  static func checked(
    _ text: String, keys: [UInt8], issuer: String, clientID: String, nonce: String, now: Double
  ) async throws -> IDToken {
    let token: IDToken
    do {
      let collection = JWTKeyCollection()
      for key in try signatureKeys(keys) { _ = try? await collection.add(jwk: key) }
      token = try await collection.verify(text, as: IDToken.self, iteratingKeys: false)
    } catch let refusal as Refused { throw refusal } catch {
      throw Refused(description: "no key of the provider signed it")
    }
    guard token.iss == issuer else { throw Refused(description: "it is of another issuer") }
    guard token.aud.names.contains(clientID), token.azp == nil || token.azp == clientID,
      token.aud.names.count == 1 || token.azp == clientID
    else { throw Refused(description: "it is for another client") }
    guard token.exp > now - skew, token.iat < now + skew else {
      throw Refused(description: "it is not good at this time")
    }
    guard token.nonce == nonce else { throw Refused(description: "it belongs to another sign-in") }
    guard (1...255).contains(token.sub.utf8.count) else { throw Refused(description: "it names nobody") }
    return token
  }

  /// Keys of kinds that nobody here knows are left out, and those for encryption.
  private static func signatureKeys(_ json: [UInt8]) throws -> [JWK] {
    let set = try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]
    let keys = set?["keys"] as? [[String: Any]] ?? []
    return keys.compactMap { key in
      guard key["use"] as? String != "enc", key["kty"] as? String != "oct" else { return nil }
      return (try? JSONSerialization.data(withJSONObject: key)).flatMap {
        try? JSONDecoder().decode(JWK.self, from: $0)
      }
    }
  }
}
