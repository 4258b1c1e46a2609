import Foundation
import ServiceKit
import Testing
import Wire

@testable import Clouds

@Suite struct SecretBoxTests {
  @Test("a secret opens only for its tenant and target, under its key") func seal() async throws {
    try await withTemporaryFolder { folder in
      let box = try SecretBox(keyFile: folder + "/a.key")
      let sealed = try box.seal("canary", tenant: "t", target: "a")
      #expect(try box.open(sealed, tenant: "t", target: "a") == "canary")
      #expect(try SecretBox(keyFile: folder + "/a.key").open(sealed, tenant: "t", target: "a") == "canary")
      #expect(sealed.range(of: Data("canary".utf8)) == nil)
      #expect(throws: ConfigurationError.self) { try box.open(sealed, tenant: "u", target: "a") }
      #expect(throws: ConfigurationError.self) { try box.open(sealed, tenant: "t", target: "b") }
      let other = try SecretBox(keyFile: folder + "/b.key")
      #expect(throws: ConfigurationError.self) { try other.open(sealed, tenant: "t", target: "a") }
      for index in sealed.indices {
        var forged = sealed
        forged[index] ^= 1
        #expect(throws: ConfigurationError.self) { try box.open(forged, tenant: "t", target: "a") }
      }
    }
  }
}

@Suite struct TargetEndpointTests {
  @Test(
    "endpoints on this machine are taken", arguments: ["unix:/run/h.sock", "http://127.0.0.1:80", "http://[::1]:9/"])
  func taken(_ endpoint: String) throws { try Targets.check(endpoint: endpoint) }

  @Test(
    "every other endpoint is refused",
    arguments: [
      "http://169.254.169.254/", "http://10.0.0.1:80", "https://127.0.0.1:1", "http://127.0.0.1", "http://localhost:80",
      "http://127.0.0.1:80@evil.example:80", "http://user@127.0.0.1:80", "http://127.0.0.1.evil.example:80",
      "http://2130706433:80", "http://0x7f.1:80", "file:///etc/passwd", "unix:relative", "", "http://127.0.0.1:80/path",
      "http://127.0.0.1:80?x", "http://[::ffff:10.0.0.1]:80", "gopher://127.0.0.1:1",
      "http://metadata.google.internal:80"
    ])
  func refused(_ endpoint: String) { #expect(throws: Problem.self) { try Targets.check(endpoint: endpoint) } }
}

@Suite struct BackoffTests {
  @Test("waits double up to the ceiling, never to zero") func delays() {
    let backoff = Backoff(base: 0.5, ceiling: 30)
    for attempt in 0..<100 {
      let bound = min(30, 0.5 * Double(1 << min(attempt, 16)))
      let delay = backoff.delay(after: attempt)
      #expect(delay >= bound / 2 && delay <= bound)
    }
  }
}
