import Foundation
import Machines
import NIOCore
import NIOHTTP1
import ServiceKit
import Testing
import Wire

/// The end of the whole program while an agent waits for commands, and the end of an agent's identity.
@Suite(.timeLimit(.minutes(2))) struct UpDownTests {
  private struct Agent: Sendable {
    let key = AgentKey()
    let facts: UpProcess.Facts
    let ca: String

    init(_ facts: UpProcess.Facts) throws {
      (self.facts, ca) = (facts, try String(contentsOfFile: facts.ca, encoding: .utf8))
    }

    func send(_ method: HTTPMethod, _ path: String, token: String?, body: Data? = nil) async throws -> Data {
      let proof = try KeyProof.make(
        key: key, method: method.rawValue, url: facts.url + path, accessToken: token,
        now: Int(Date().timeIntervalSince1970), jti: UUID().uuidString)
      let client = try RESTClient(
        name: "godwit", endpoint: .web(url: facts.url, ca: ca), timeout: .seconds(90), repeats: false)
      var headers: HTTPHeaders = ["DPoP": proof]
      if let token { headers.add(name: "Authorization", value: "DPoP " + token) }
      let answer = try await client.send(method, path, body: body.map { ByteBuffer(bytes: $0) }, headers: headers)
      return Data(answer.readableBytesView)
    }

    func enrol(_ token: String) async throws -> AgentCredential {
      let machine = MachineDescription(
        hostname: "web", architecture: "x86_64", firmware: .bios, kernel: "6.1",
        distribution: .init(
          id: "debian", version: "12", name: "Debian"), cpus: 1, memory: 1 << 30, disks: [], filesystems: [],
        networkInterfaces: [], stackedDevices: [])
      let body = try JSONEncoder().encode(EnrolmentRequest(token: token, agentVersion: "1.0.0", machine: machine))
      return try JSONDecoder().decode(
        AgentCredential.self, from: try await send(.POST, "/v1/enrolments", token: nil, body: body))
    }
  }

  private static func admin(_ up: UpProcess) throws -> RESTClient {
    let token = up.facts.token
    return try RESTClient(
      name: "godwit",
      endpoint: .web(url: up.facts.url, ca: try String(contentsOfFile: up.facts.ca, encoding: .utf8))
    ) { "Bearer " + token }
  }

  @Test func `A removed source is refused at once; the platform ends in seconds though an agent waits for commands`()
    async throws
  {
    let up = try UpProcess()
    let admin = try Self.admin(up)
    func issue() async throws -> String {
      try await admin.post(
        "/v1/tenants/default/enrolment-tokens", [String: String](), as: MigrationAPI.EnrolmentToken.self
      )
      .token
    }
    let removed = try Agent(up.facts)
    let gone = try await removed.enrol(try await issue())
    _ = try await removed.send(.GET, "/v1/agent/commands", token: gone.accessToken)
    try await admin.delete("/v1/tenants/default/sources/\(gone.source)")
    for (method, path) in [(HTTPMethod.GET, "/v1/agent/commands"), (.POST, "/v1/agent/token")] {
      await #expect(throws: Problem.tokenRefused) {
        _ = try await removed.send(method, path, token: gone.accessToken)
      }
    }

    let agent = try Agent(up.facts)
    let credential = try await agent.enrol(try await issue())
    let poll = Task {
      do {
        _ = try await agent.send(.GET, "/v1/agent/commands?wait=60", token: credential.accessToken)
        return "answered"
      } catch let problem as Problem { return problem.code }
    }
    try await Task.sleep(for: .seconds(2))
    let start = ContinuousClock.now
    up.end()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    #expect(seconds < 10, "\(seconds)")
    let ending = try await poll.value
    #expect(ending == "stopping", "\(ending)")
    print("platform ended \(seconds) s after SIGTERM beside a long poll")
  }
}
