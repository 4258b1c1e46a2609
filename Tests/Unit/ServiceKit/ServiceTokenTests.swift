import Foundation
import ServiceKit
import Testing
import Wire

@Suite struct ServiceTokenTests {
  private let key = AgentKey()
  private var issuer: ServiceTokenIssuer { ServiceTokenIssuer(name: "migration", key: key) }
  private var verifier: ServiceTokenVerifier {
    ServiceTokenVerifier(audience: "clouds", keys: ["migration": key.publicKey])
  }

  @Test("a fresh token says who calls for which tenant") func good() throws {
    let claims = try verifier.verify(try issuer.token(for: "clouds", tenant: "t1"))
    #expect(claims.iss == "migration")
    #expect(claims.mayActFor("t1"))
    #expect(!claims.mayActFor("t2"))
    let all = try verifier.verify(try issuer.token(for: "clouds", tenant: "*"))
    #expect(all.mayActFor("t2"))
  }

  @Test("a token for another service, by another key, or too old is refused") func refused() throws {
    let other = ServiceTokenIssuer(name: "migration", key: AgentKey())
    let unknown = ServiceTokenIssuer(name: "console", key: key)
    let old = Date(timeIntervalSinceNow: -3600)
    let future = Date(timeIntervalSinceNow: 3600)
    for token in [
      try issuer.token(for: "migration", tenant: "t"), try other.token(for: "clouds", tenant: "t"),
      try unknown.token(for: "clouds", tenant: "t"), try issuer.token(for: "clouds", tenant: "t", now: old),
      try issuer.token(for: "clouds", tenant: "t", now: future), "", "a.b.c"
    ] {
      #expect(throws: Problem.tokenRefused) { try verifier.verify(token) }
    }
  }

  @Test("a token of another kind is refused even with good claims") func kind() throws {
    struct Claims: Encodable { var iss = "migration", aud = "clouds", tenant = "*", iat = 0, exp = Int.max / 2 }
    let now = Int(Date().timeIntervalSince1970)
    let claims = Claims(iat: now, exp: now + 60)
    let token = try CompactJWS.sign(claims, header: .init(typ: "JWT"), with: key)
    #expect(throws: Problem.tokenRefused) { try verifier.verify(token) }
  }

  @Test("every flipped character of a token makes it refused") func tampered() throws {
    let token = try issuer.token(for: "clouds", tenant: "t1")
    var bytes = Array(token.utf8)
    for index in bytes.indices where bytes[index] != UInt8(ascii: ".") {
      let kept = bytes[index]
      // The last character of a part may hold bits that decode to nothing; a change must alter the decoded bytes.
      bytes[index] = kept == UInt8(ascii: "A") ? UInt8(ascii: "Q") : UInt8(ascii: "A")
      let forged = String(decoding: bytes, as: UTF8.self)
      #expect(throws: Problem.self) { try verifier.verify(forged) }
      bytes[index] = kept
    }
  }
}
