import Foundation
import ServiceKit
import Source
import Testing
import Transport
import Wire

/// What can go wrong when a machine is enrolled, or reaches the platform through a proxy: each is said so that whoever
/// pasted the line knows what to do.
@Suite(.timeLimit(.minutes(3)), .serialized) struct EnrolmentFaultTests {
  /// The text that the agent's program prints, which ends in what to do.
  private func failure<Value>(_ body: () async throws -> Value) async -> String {
    do {
      _ = try await body()
      return "it succeeded"
    } catch { return "\(error)" }
  }

  @Test func `A token that is unknown, used or expired is refused, each with its own remedy`() async throws {
    try await Platform.with { platform in
      let unknown = await failure { try await platform.enrol(token: "gwe_wrong", connection: platform.connection) }
      #expect(unknown.contains("token_unknown") && unknown.contains("Make a new one in the console"), "\(unknown)")

      let token = try await platform.token()
      _ = try await platform.enrol(token: token, connection: platform.connection)
      let used = await failure { try await platform.enrol(token: token, connection: platform.connection) }
      #expect(used.contains("token_used") && used.contains("a new token for each machine"), "\(used)")

      platform.clock.advance(by: -86_401)
      let old = try await platform.token()
      platform.clock.advance(by: 86_401)
      let expired = await failure { try await platform.enrol(token: old, connection: platform.connection) }
      #expect(expired.contains("token_expired") && expired.contains("Make a new one in the console"), "\(expired)")
      let sources = try await platform.owner.get("sources", as: MigrationAPI.Page<MigrationAPI.Source>.self)
      #expect(sources.items.count == 1)
    }
  }

  @Test func `A service that is not of the CA given is not spoken to`() async throws {
    try await Platform.with { platform in
      let other = try CertificateAuthority.open(folder: platform.lab.path("other-ca"))
      let token = try await platform.token()
      let settings = ConnectionSettings(authority: other.certificatePEM)
      let said = await failure { try await platform.enrol(token: token, connection: settings) }
      #expect(said.contains("certificate") && said.contains("CA given at enrolment"), "\(said)")
      #expect(said.contains("--extra-ca"), "\(said)")
      // The token was not spent on a stranger.
      _ = try await platform.enrol(token: token, connection: platform.connection)
    }
  }

  @Test func `A gateway that is not of the CA given gets no byte, and the sync says why`() async throws {
    let stray = try GatewayLab()
    try await Platform.with(gatewayIdentity: stray.identity) { platform in
      let file = platform.plane.folder + "/source.raw"
      _ = FileManager.default.createFile(atPath: file, contents: Data(count: 1 << 20))
      let identity = try await platform.enrol(
        token: try await platform.token(), connection: platform.connection,
        disk: OneDiskMachine.disk("file", size: 1 << 20))
      try await platform.withAgent(identity, OneDiskMachine(try TrackedFile(path: file))) {
        let migration = try await platform.migration(of: identity)
        let failed = try await platform.owner.migration(migration.id) { $0.state == .attention }
        #expect(failed.problem?.code == "gateway_certificate")
        #expect(failed.problem?.detail.contains("CA given at enrolment") == true, "\(failed)")
        #expect(try await platform.owner.points(migration.id).isEmpty)
      }
    }
  }

  @Test(arguments: [403: "it refused to connect to", 407: "it wants a user and a password"])
  func `A proxy that refuses is named, with what to check`(status: Int, reason: String) async throws {
    try await Platform.with { platform in
      try await TestProxy.with(refusing: status) { proxy in
        var settings = platform.connection
        settings.proxy = proxy.settings
        let token = try await platform.token()
        let said = await failure { try await platform.enrol(token: token, connection: settings) }
        #expect(said.contains("the proxy 127.0.0.1:\(proxy.settings.port)") && said.contains(reason), "\(said)")
        #expect(said.contains("check its address, its credentials and its rules"), "\(said)")
        // It says so after it has answered.
        for _ in 0..<100 where proxy.log.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        #expect(proxy.log.contains { $0.hasPrefix("REFUSED 127.0.0.1:") }, "\(proxy.log)")
      }
    }
  }

  @Test(arguments: [false, true])
  func `Enrolment and a whole sync go through a proxy, also one that opens TLS`(inspects: Bool) async throws {
    try await Platform.with { platform in
      let inspector = try CertificateAuthority.open(folder: platform.lab.path("proxy-ca"), name: "Corporate proxy")
      let identity = try inspector.server("proxy", hosts: ["127.0.0.1"])
      try await TestProxy.with(inspectingWith: inspects ? identity : nil) { proxy in
        var settings = platform.connection
        settings.proxy = proxy.settings
        let token = try await platform.token()
        if inspects {
          let strict = settings
          let said = await failure { try await platform.enrol(token: token, connection: strict) }
          #expect(said.contains("give its CA with --extra-ca"), "\(said)")
          settings.extraAuthority = inspector.certificatePEM
        }
        try await sync(platform, token, settings)
        let log = proxy.log
        let connects = Set(log.filter { $0.hasPrefix("CONNECT ") })
        #expect(connects.count == 2, "service and gateway: \(connects)")
        if inspects {
          #expect(log.contains("SAW POST /v1/enrolments"), "\(log)")
          #expect(log.contains { $0.hasPrefix("SAW PUT /v1/sessions/") }, "\(log)")
        }
      }
    }
  }

  private func sync(_ platform: Platform, _ token: String, _ settings: ConnectionSettings) async throws {
    let file = platform.plane.folder + "/source.raw"
    let bytes = Data(TestFrame.leaves(64, seed: 1))
    try bytes.write(to: URL(filePath: file))
    let disk = OneDiskMachine.disk("file", size: UInt64(bytes.count))
    let identity = try await platform.enrol(token: token, connection: settings, disk: disk)
    try await platform.withAgent(identity, OneDiskMachine(try TrackedFile(path: file))) {
      let migration = try await platform.migration(of: identity)
      let done = try await platform.owner.migration(migration.id) { $0.state == .insync || $0.problem != nil }
      #expect(done.problem == nil)
      #expect(try Data(contentsOf: URL(filePath: try platform.replica(migration))) == bytes)
    }
  }
}
