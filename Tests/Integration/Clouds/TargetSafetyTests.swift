import Fakes
import Foundation
import ServiceKit
import Testing
import Wire

@testable import Clouds

/// Targets' secrets under keys that change, and where targets may be.
@Suite(.timeLimit(.minutes(2))) struct TargetSafetyTests {
  @Test("a new key takes over while targets are used; then the old one may go") func rotation() async throws {
    try await CloudsHarness.run { harness in
      let (first, second) = (Secret.bytes(32), Secret.bytes(32))
      var clouds = harness
      // The key that the service made for itself, then two of the settings, one after the other.
      try await clouds.service { clouds in
        for tenant in ["t1", "t2"] { try await clouds.addTarget(tenant: tenant) }
        try await clouds.volume("v")
        try await clouds.ready("volumes", "v")
      }
      let own = clouds.folder + "/clouds/secrets.key"
      #expect(FileManager.default.fileExists(atPath: own))
      for keys in [[first], [second, first]] {
        clouds.secretKeys = keys
        try await clouds.service { clouds in
          try await clouds.wait(for: "every secret under the newest key") {
            try await clouds.metric("godwit_secrets_under_old_keys") == 0 ? () : nil
          }
          // The target's own word: it wants the secret.
          try await clouds.volume("v-\(keys.count)")
          try await clouds.ready("volumes", "v-\(keys.count)")
        }
        try? FileManager.default.removeItem(atPath: own)
      }
      clouds.secretKeys = [second]
      try await clouds.service { clouds in
        try await clouds.volume("last")
        try await clouds.ready("volumes", "last")
      }
      // Neither of the old keys opens anything any more.
      clouds.secretKeys = [first]
      try await clouds.service { clouds in
        try await clouds.wait(for: "two secrets that cannot be opened") {
          try await clouds.metric("godwit_secrets_under_old_keys") == 2 ? () : nil
        }
      }
    }
  }

  @Test("an endpoint that the settings do not name is refused when it is entered, and when it is used") func guarded()
    async throws
  {
    try await CloudsHarness.run { harness in
      var clouds = harness
      try await clouds.service { clouds in
        for endpoint in ["http://169.254.169.254", "unix:\(clouds.folder)/clouds.sock", "http://127.0.0.2:80"] {
          let problem = await #expect(throws: Problem.self) {
            try await clouds.client().put(
              clouds.path("targets/bad"), CloudsAPI.TargetWish(provider: "fake", endpoint: endpoint),
              as: CloudsAPI.Target.self)
          }
          #expect(problem?.code == "endpoint_refused" && problem?.status == 422)
        }
        try await clouds.addTarget()
        try await clouds.volume("v")
        try await clouds.ready("volumes", "v")
      }
      let asked = try await clouds.admin.log().count
      // The operator thinks better of it.
      clouds.addresses = ""
      try await clouds.service { clouds in
        try await clouds.volume("late")
        let seen = try await clouds.wait(for: "the refusal") {
          let volume: CloudsAPI.Volume = try await clouds.client().get(clouds.path("volumes/late"))
          return volume.problem
        }
        #expect(seen.code == "endpoint_refused")
      }
      let unheard = try await clouds.admin.log().filter { $0.effect != nil }.map(\.id)
      #expect(asked > 0 && !unheard.contains { $0.contains("late") })
    }
  }
}

extension CloudsHarness {
  /// The value of a metric without labels.
  fileprivate func metric(_ name: String) async throws -> Int? {
    let text = String(decoding: try await client().bytes("/metrics"), as: UTF8.self)
    return text.split(separator: "\n").first { $0.hasPrefix(name + " ") }?.split(separator: " ").last.flatMap {
      Double($0).map { Int($0) }
    }
  }
}
