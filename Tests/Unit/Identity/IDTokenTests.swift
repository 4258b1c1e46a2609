import Crypto
import Foundation
import Testing
import Wire

@testable import Identity

/// What a provider says is believed only where every part of it is good.
struct IDTokenTests {
  private static let now = 1_700_000_000.0
  private let key = P256.Signing.PrivateKey()

  private var keys: [UInt8] {
    let raw = Array(key.publicKey.rawRepresentation)
    let set = """
      {"keys":[{"kty":"unheard-of","kid":"x"},{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"one",\
      "x":"\(Base64URL.encode(raw.prefix(32)))","y":"\(Base64URL.encode(raw.suffix(32)))"}]}
      """
    return Array(set.utf8)
  }

  private func text(
    _ change: [String: Any?] = [:], header: [String: String] = [:], sign: ((String) throws -> [UInt8])? = nil
  ) throws -> String {
    var claims: [String: Any] = [
      "iss": "https://idp.example", "sub": "s1", "aud": "client", "exp": Self.now + 300, "iat": Self.now,
      "nonce": "n", "email": "v@idp.example"
    ]
    for (name, value) in change { claims[name] = value }
    let head = ["alg": "ES256", "kid": "one"].merging(header) { $1 }
    func part(_ value: Any) throws -> String { Base64URL.encode(try JSONSerialization.data(withJSONObject: value)) }
    let signed = try part(head) + "." + part(claims)
    let signature = try sign?(signed) ?? Array(key.signature(for: Data(signed.utf8)).rawRepresentation)
    return signed + "." + Base64URL.encode(signature)
  }

  private func check(_ text: String) async throws -> IDToken {
    try await IDToken.checked(
      text, keys: keys, issuer: "https://idp.example", clientID: "client", nonce: "n", now: Self.now)
  }

  private func isRefused(_ text: String) async -> Bool {
    do { _ = try await check(text) } catch is IDToken.Refused { return true } catch { return false }
    return false
  }

  @Test func `A good one names who signed in`() async throws {
    let token = try await check(try text(["email_verified": true, "name": "Vera"]))
    #expect(token.sub == "s1" && token.email == "v@idp.example" && token.emailVerified == true && token.name == "Vera")
    _ = try await check(try text(["aud": ["other", "client"], "azp": "client"]))
  }

  @Test func `One of another issuer, client, time or sign-in is refused`() async throws {
    for change: [String: Any?] in [
      ["iss": "https://idp.example/"], ["aud": "other"], ["aud": ["client", "other"]], ["aud": [String]()], ["aud": 7],
      ["azp": "other"],
      ["exp": Self.now - 121], ["iat": Self.now + 121], ["nonce": "m"], ["sub": ""]
    ] { #expect(await isRefused(try text(change)), "\(change)") }
    #expect(await isRefused(try text(["nonce": Optional<Any>.none])))
  }

  @Test func `One that no key of the provider signed is refused`() async throws {
    let other = P256.Signing.PrivateKey()
    #expect(await isRefused(try text { Array(try other.signature(for: Data($0.utf8)).rawRepresentation) }))
    #expect(await isRefused(try text(header: ["alg": "none"]) { _ in [] }))
    // By the secret, or by the public key as if it were one.
    for secret in [Data("a secret".utf8), Data(keys)] {
      #expect(
        await isRefused(
          try text(header: ["alg": "HS256"]) {
            Array(HMAC<SHA256>.authenticationCode(for: Data($0.utf8), using: SymmetricKey(data: secret)))
          }))
    }
    #expect(await isRefused("a.b.c"))
    #expect(await isRefused(""))
  }
}
