import Foundation
import ServiceKit
import Testing
import Wire

/// `godwit up`: the same services in one process, over Unix sockets.
@Suite(.timeLimit(.minutes(2)), .serialized) struct UpTests {
  @Test func `Everything runs in one process, is ready, is audited, and starts again on its own state`() async throws {
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // Not this user's own settings.
    let home = ["HOME": folder]
    for round in 1...2 {
      let platform = try Served(
        [
          "up", "--state", folder + "/state", "--listen", "127.0.0.1:0", "--without-gateway", "--without-hypervisor"
        ], log: folder + "/up.log", environment: home)
      defer { platform.end(SIGKILL) }
      let facts = try JSONDecoder().decode([String: String].self, from: try platform.firstOutput())
      let (url, ca) = (
        try #require(facts["url"]), try String(contentsOfFile: try #require(facts["ca"]), encoding: .utf8)
      )
      let client = try RESTClient(name: "front", endpoint: .web(url: url, ca: ca))
      for path in ["/healthz", "/readyz", "/version"] { _ = try await client.bytes(path) }
      await #expect(throws: Problem.tokenRefused) { try await client.bytes("/metrics") }
      let sources = try Served.run(["source", "add", "--json"], environment: home)
      #expect(sources.status == 0, "\(sources.output)")
      var audited = 0
      for _ in 0..<50 where audited < round {
        let listed = try Served.run(["audit", "list", "--json"], environment: home)
        audited = try JSONDecoder().decode([AuditAPI.Entry].self, from: Data(listed.output.utf8)).count
        try await Task.sleep(for: .milliseconds(200))
      }
      #expect(audited == round)
      let key = folder + "/state/keys/operations.key.pub"
      let whole = try Served.run(["audit", "verify", "--key", key], environment: home)
      #expect(whole.status == 0 && whole.output.contains("The audit is whole: \(round) records"), "\(whole.output)")
      #expect(platform.end(SIGTERM) == 0)
    }
  }
}
