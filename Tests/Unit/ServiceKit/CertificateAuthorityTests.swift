import Foundation
import Hummingbird
import Logging
import ServiceKit
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct CertificateAuthorityTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test("the CA is made once, its key is the owner's alone, and servers' certificates are kept") func made()
    async throws
  {
    try await withTemporaryFolder { folder in
      let first = try CertificateAuthority.open(folder: folder + "/ca")
      let second = try CertificateAuthority.open(folder: folder + "/ca")
      #expect(first.certificatePEM == second.certificatePEM)
      #expect(try mode(of: folder + "/ca") == 0o700)
      #expect(try mode(of: folder + "/ca/ca.key") == 0o600)
      let server = try first.server("front", hosts: ["10.0.2.2", "127.0.0.1", "localhost"])
      #expect(try mode(of: server.keyFile) == 0o600)
      #expect(try second.server("front", hosts: ["10.0.2.2", "127.0.0.1", "localhost"]) == server)
      let renamed = try second.server("front", hosts: ["10.0.2.3"])
      #expect(renamed.certificatePEM != server.certificatePEM)
      let late = try second.server("front", hosts: ["10.0.2.3"], now: Date(timeIntervalSinceNow: 380 * 86_400))
      #expect(late.certificatePEM != renamed.certificatePEM)
    }
  }

  @Test("a client that trusts the CA reaches the server by IP address and name; another CA is refused") func tls()
    async throws
  {
    try await withTemporaryFolder { folder in
      let authority = try CertificateAuthority.open(folder: folder + "/ca")
      let other = try CertificateAuthority.open(folder: folder + "/other")
      let tls = try authority.server("front", hosts: ["127.0.0.1", "localhost"]).tlsConfiguration()
      let wrongName = try authority.server("wrong", hosts: ["10.0.2.2"]).tlsConfiguration()
      let routes: @Sendable (Router<ServiceContext>) -> Void = { $0.get("fine") { _, _ in try JSONAnswer(["a": 1]) } }
      try await HTTPServer.whileRunning(.tcp(host: "127.0.0.1", port: 0, tls: tls), logger: Self.quiet, routes: routes)
      { place in
        guard case .tcp(_, let port) = place else { return }
        for host in ["127.0.0.1", "localhost"] {
          let client = try RESTClient(
            name: "front", endpoint: .web(url: "https://\(host):\(port)", ca: authority.certificatePEM))
          let answer: [String: Int] = try await client.get("/fine")
          #expect(answer == ["a": 1])
        }
        let stranger = try RESTClient(
          name: "front", endpoint: .web(url: "https://127.0.0.1:\(port)", ca: other.certificatePEM))
        await #expect(throws: Problem.self) { try await stranger.get("/fine", as: [String: Int].self) }
      }
      try await HTTPServer.whileRunning(
        .tcp(host: "127.0.0.1", port: 0, tls: wrongName), logger: Self.quiet, routes: routes
      ) {
        guard case .tcp(_, let port) = $0 else { return }
        let client = try RESTClient(
          name: "front", endpoint: .web(url: "https://127.0.0.1:\(port)", ca: authority.certificatePEM))
        await #expect(throws: Problem.self) { try await client.get("/fine", as: [String: Int].self) }
      }
    }
  }

  @Test("a host that is neither name nor address is refused at start", arguments: ["a b", "x/y", "", "a\nb", "*"])
  func badHost(_ host: String) async throws {
    try await withTemporaryFolder { folder in
      let authority = try CertificateAuthority.open(folder: folder + "/ca")
      #expect(throws: ConfigurationError.self) { try authority.server("front", hosts: [host]) }
    }
  }

  @Test("a secret that others may read is refused") func openFile() async throws {
    try await withTemporaryFolder { folder in
      let file = folder + "/admin.token"
      let token = try AdminToken.open(file: file)
      #expect(try AdminToken.open(file: file).matches(token.text))
      #expect(!token.matches(token.text + "x"))
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
      #expect(throws: ConfigurationError.self) { try AdminToken.open(file: file) }
    }
  }
}
