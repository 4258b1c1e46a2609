import Testing
import Wire

@Suite struct KeyProofTests {
  let key = AgentKey()
  let url = "https://gateway.example:8443/v1/sessions/s1/frames/7"
  let now = 1_800_000_000

  func proof(token: String? = "grant", at: Int = 1_800_000_000) throws -> String {
    try KeyProof.make(
      key: key, method: "PUT", url: url + "?epoch=3", accessToken: token, now: at, jti: "unique-1")
  }

  @Test func `a proof names its key and its number`() throws {
    let found = try KeyProof.verify(try proof(), method: "PUT", url: url, accessToken: "grant", now: now + 299)
    #expect(found.thumbprint == key.thumbprint)
    #expect(found.jti == "unique-1")
  }

  @Test func `case of the host, default port and query do not matter`() throws {
    let proof = try KeyProof.make(
      key: key, method: "GET", url: "HTTPS://Example.ORG:443/a?b=c#d", accessToken: nil, now: now, jti: "1")
    _ = try KeyProof.verify(proof, method: "GET", url: "https://example.org/a", accessToken: nil, now: now)
  }

  @Test func `another method, URL, token or time is refused`() throws {
    let proof = try proof()
    #expect(throws: KeyProof.Failure.wrongMethod) {
      try KeyProof.verify(proof, method: "POST", url: url, accessToken: "grant", now: now)
    }
    #expect(throws: KeyProof.Failure.wrongURL(found: url)) {
      try KeyProof.verify(proof, method: "PUT", url: url + "0", accessToken: "grant", now: now)
    }
    #expect(throws: KeyProof.Failure.wrongToken) {
      try KeyProof.verify(proof, method: "PUT", url: url, accessToken: "other", now: now)
    }
    #expect(throws: KeyProof.Failure.wrongToken) {
      try KeyProof.verify(proof, method: "PUT", url: url, accessToken: nil, now: now)
    }
    #expect(throws: KeyProof.Failure.outsideWindow(seconds: 301)) {
      try KeyProof.verify(proof, method: "PUT", url: url, accessToken: "grant", now: now + 301)
    }
    #expect(throws: KeyProof.Failure.outsideWindow(seconds: -301)) {
      try KeyProof.verify(proof, method: "PUT", url: url, accessToken: "grant", now: now - 301)
    }
  }

  @Test func `a proof that names another key than the one that signed is refused`() throws {
    let parts = try proof().split(separator: ".").map(String.init)
    let header = try CompactJWS.sign(
      ["x": "y"], header: .init(typ: "dpop+jwt", jwk: AgentKey().publicJWK), with: key
    ).split(separator: ".")[0]
    #expect(throws: KeyProof.Failure.wrongSignature) {
      try KeyProof.verify(
        "\(header).\(parts[1]).\(parts[2])", method: "PUT", url: url, accessToken: "grant", now: now)
    }
  }

  @Test func `a plain token does not pass for a proof`() throws {
    let token = try CompactJWS.sign(
      ["jti": "1", "htm": "PUT", "htu": url], header: .init(typ: "JWT", jwk: key.publicJWK), with: key)
    #expect(throws: KeyProof.Failure.self) {
      try KeyProof.verify(token, method: "PUT", url: url, accessToken: nil, now: now)
    }
  }
}
