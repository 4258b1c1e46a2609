import Crypto
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

@Suite struct SecretRotationTests {
  @Test("the newest key seals, older ones open, and what earlier versions sealed opens too") func keys() async throws {
    try await withTemporaryFolder { folder in
      let (first, second) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32))
      let old = try SecretBox(keyFile: folder + "/none", newer: [first])
      let both = try SecretBox(keyFile: folder + "/none", newer: [second, first])
      let new = try SecretBox(keyFile: folder + "/none", newer: [second])
      let sealed = try old.seal("canary", tenant: "t", target: "a")
      #expect(old.isCurrent(sealed) && !both.isCurrent(sealed))
      #expect(try both.open(sealed, tenant: "t", target: "a") == "canary")
      #expect(throws: ConfigurationError.self) { try new.open(sealed, tenant: "t", target: "a") }
      let again = try both.seal("canary", tenant: "t", target: "a")
      #expect(both.isCurrent(again) && new.isCurrent(again))
      #expect(try new.open(again, tenant: "t", target: "a") == "canary")
      #expect(throws: ConfigurationError.self) { try old.open(again, tenant: "t", target: "a") }
      let earlier = try #require(
        try AES.GCM.seal(
          Data("canary".utf8), using: SymmetricKey(data: first),
          authenticating: Data("godwit-target-1\0t\0a".utf8)
        ).combined)
      #expect(try both.open(earlier, tenant: "t", target: "a") == "canary" && !both.isCurrent(earlier))
      #expect(throws: ConfigurationError.self) { try both.open(earlier, tenant: "u", target: "a") }
      #expect(!FileManager.default.fileExists(atPath: folder + "/none"), "keys that are given are all there are")
    }
  }
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
