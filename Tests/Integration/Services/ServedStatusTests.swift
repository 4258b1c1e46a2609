import Foundation
import Glibc
import ServiceKit
import Testing
import Wire

/// What running services say of themselves, and what strangers cannot make them say.
@Suite(.timeLimit(.minutes(2)), .serialized) struct ServedStatusTests {
  @Test func `Each service says that it lives, whether it is ready, its version and its metrics`() async throws {
    try await ServedPlatform.with { platform, _ in
      for service in ServedPlatform.services {
        let client = try RESTClient(name: service, endpoint: .web(url: platform.url(service), ca: nil))
        for path in ["/healthz", "/readyz", "/version"] { _ = try await client.bytes(path) }
      }
      let owner = Owner(plane: platform.plane)
      let agent = SimulatedAgent(platform.plane)
      let migration = try await owner.begin(agent)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await agent.run() }
        _ = try await owner.migration(migration.id) { $0.state == .insync }
        group.cancelAll()
        do { try await group.waitForAll() } catch {}
      }
      let client = try RESTClient(name: "migration", endpoint: .web(url: platform.url("migration"), ca: nil))
      let text = String(decoding: try await client.bytes("/metrics"), as: UTF8.self)
      #expect(text.contains(#"route="/v1/tenants/{tenant}/migrations",status="201"} 1"#), "\(text)")
      #expect(text.contains("godwit_workflow_steps_total{kind=\"sync\""))
      #expect(text.contains("result=\"waiting\"") && text.contains("result=\"done\""))
      #expect(text.contains("godwit_workflows_open{kind=\"sync\"} "))
      platform.kill("clouds")
      try await Task.sleep(for: .seconds(1.1))
      let problem = await #expect(throws: Problem.self) { try await client.bytes("/readyz") }
      #expect(problem?.detail.contains("503") == true)
      _ = try await client.bytes("/healthz")
      try platform.start("clouds")
      try await Task.sleep(for: .seconds(1.1))
      _ = try await client.bytes("/readyz")
    }
  }

  @Test func `Hostile paths, headers and bodies stay within one line of the log`() async throws {
    try await ServedPlatform.with { platform, _ in
      platform.kill("migration")
      var settings = platform.settings("migration")
      settings["log-level"] = "debug"
      try platform.write("migration", settings)
      try platform.start("migration")
      let port = try #require(platform.ports["migration"])
      let forged = #"","level":"error","msg":"forged"}"#
      let evil = [
        "GET /%0A%7B\"msg\":\"forged\"%7D HTTP/1.1\r\nHost: x\r\n\r\n", "GET /\(forged) HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\u{1B}[2J\(forged)\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\nX-Request-ID: \(forged)\r\ntraceparent: 00-\(forged)\r\n\r\n",
        "GET /\u{1B}]0;title\u{7}\u{9B}\u{2028} HTTP/1.1\r\nHost: x\r\n\r\n",
        "{\"msg\":\"forged\"} /x HTTP/1.1\r\nHost: x\r\n\r\n", "GET /x HTTP/1.1\nHost: x\n\n{\"msg\":\"forged\"}\n"
      ]
      for request in evil { try send(request, port: port) }
      let client = try RESTClient(name: "migration", endpoint: .web(url: platform.url("migration"), ca: nil))
      _ = try await client.bytes("/healthz")
      #expect(platform.stop("migration") == 0)
      let log = try String(contentsOfFile: platform.plane.folder + "/migration.log", encoding: .utf8)
      let lines = log.split(separator: "\n")
      #expect(lines.count > evil.count)
      var hits = 0
      for line in lines {
        let fields = try #require(
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String], "\(line)")
        #expect(fields["msg"] != "forged")
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        if fields["http.path"]?.contains("forged") == true { hits += 1 }
        if let id = fields["request.id"] { #expect(!id.contains("\"") && !id.contains("\u{1B}")) }
      }
      #expect(hits >= 1, "no hostile path came as far as the log")
    }
  }

  /// Writes bytes to the port and reads until the other side closes or 1 s is over.
  private func send(_ text: String, port: Int) throws {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    (address.sin_port, address.sin_addr.s_addr) = (UInt16(port).bigEndian, UInt32(0x7F00_0001).bigEndian)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    try #require(isConnected)
    let bytes = Array(text.utf8)
    #expect(write(descriptor, bytes, bytes.count) == bytes.count)
    var answer = [UInt8](repeating: 0, count: 4096)
    _ = read(descriptor, &answer, answer.count)
  }
}
