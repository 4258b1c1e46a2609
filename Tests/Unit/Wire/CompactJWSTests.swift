import Testing
import Wire

/// The key and the token of RFC 8037, appendix A.
enum RFC8037 {
  static let secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
  static let publicKey = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  static let token =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

  static func key() throws -> AgentKey { try AgentKey(rawRepresentation: #require(Base64URL.decode(secret))) }
}

@Suite struct CompactJWSTests {
  struct Claims: Codable, Equatable { var sub: String }

  @Test func `the public key and its thumbprint are those of RFC 8037`() throws {
    let key = try RFC8037.key()
    #expect(key.publicJWK.x == RFC8037.publicKey)
    #expect(key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
  }

  @Test func `the token of RFC 8037 verifies with its key only`() throws {
    let jws = try CompactJWS(parsing: RFC8037.token)
    #expect(String(decoding: jws.payload, as: UTF8.self) == "Example of Ed25519 signing")
    #expect(jws.isSigned(by: try RFC8037.key().publicKey))
    #expect(!jws.isSigned(by: AgentKey().publicKey))
  }

  @Test func `claims come back from a signed token`() throws {
    let key = AgentKey()
    let token = try CompactJWS.sign(Claims(sub: "tenant/source"), header: .init(typ: "JWT", kid: "k1"), with: key)
    #expect(try CompactJWS(parsing: token).header.kid == "k1")
    #expect(try CompactJWS.verify(token, publicKey: key.publicKey, as: Claims.self) == Claims(sub: "tenant/source"))
  }

  @Test func `a changed payload, a foreign key and another type are refused`() throws {
    let key = AgentKey()
    let token = try CompactJWS.sign(Claims(sub: "a"), with: key)
    var parts = token.split(separator: ".").map(String.init)
    parts[1] = Base64URL.encode(Array(#"{"sub":"b"}"#.utf8))
    #expect(throws: CompactJWS.Failure.wrongSignature) {
      try CompactJWS.verify(parts.joined(separator: "."), publicKey: key.publicKey, as: Claims.self)
    }
    #expect(throws: CompactJWS.Failure.wrongSignature) {
      try CompactJWS.verify(token, publicKey: AgentKey().publicKey, as: Claims.self)
    }
    #expect(throws: CompactJWS.Failure.wrongType(expected: "dpop+jwt", found: "JWT")) {
      try CompactJWS.verify(token, publicKey: key.publicKey, as: Claims.self, typ: "dpop+jwt")
    }
  }

  @Test(arguments: [
    #"{"alg":"none"}"#, #"{"alg":"HS256"}"#, #"{"alg":"EdDSA","crit":["b64"]}"#, #"{}"#, "[]", "not json"
  ])
  func `a header that asks for anything else is refused`(header: String) {
    let token = "\(Base64URL.encode(Array(header.utf8))).e30.AAAA"
    #expect(throws: CompactJWS.Failure.self) { try CompactJWS(parsing: token) }
  }

  @Test(arguments: ["", ".", "..", "a.b", "e30.e30.e30.e30", "e30=.e30.AA", "e3 0.e30.AA"])
  func `what is not three base64url parts is refused`(token: String) {
    #expect(throws: CompactJWS.Failure.self) { try CompactJWS(parsing: token) }
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy")
  ])
  func `base64url agrees with RFC 4648`(plain: String, encoded: String) {
    #expect(Base64URL.encode(Array(plain.utf8)) == encoded)
    #expect(Base64URL.decode(encoded) == Array(plain.utf8))
  }

  @Test(arguments: ["Zh", "Zm9vY", "Zg==", "Z+", "Z/"])
  func `base64url with stray bits, padding or the other alphabet is refused`(text: String) {
    #expect(Base64URL.decode(text) == nil)
  }
}
