import Foundation
import NIOHTTP1
import ServiceKit
import Testing
import Wire

/// The licensing service and its commands as processes.
@Suite(.timeLimit(.minutes(3)), .serialized) struct ServedLicensingTests {
  @Test func `Two processes of the migration service never take two seats for one machine, nor more than there are`()
    async throws
  {
    try await ServedPlatform.with { platform, _ in
      let (owner, agent) = (Owner(plane: platform.plane), SimulatedAgent(platform.plane))
      var settings = platform.settings("migration")
      settings["listen"] = "127.0.0.1:\(try ControlPlane.freePort())"
      try platform.write("second", settings)
      try platform.start("migration", as: "second", config: platform.configuration("second"))
      // The evaluation of this platform has two seats.
      _ = try await owner.begin(agent)
      var machines = [agent]
      for _ in 0..<3 {
        let other = SimulatedAgent(platform.plane)
        try await other.enrol(try await owner.post("enrolment-tokens", as: MigrationAPI.EnrolmentToken.self).token)
        machines.append(other)
      }
      let issuer = ServiceTokenIssuer(name: "front", key: try platform.plane.key("front"))
      let clients = try ["http://" + (settings["listen"] ?? ""), platform.url("migration")].map { url in
        try RESTClient(name: "migration", endpoint: .web(url: url, ca: nil)) {
          "Bearer " + (try issuer.token(for: "migration", tenant: owner.tenant))
        }
      }
      let codes = await withTaskGroup(of: String.self) { group in
        for round in 0..<24 {
          let wish = owner.wish(machines[round % 4], "race-\(round)")
          group.addTask {
            do {
              _ = try await clients[(round / 4) % 2].post(
                owner.path("migrations"), wish, as: MigrationAPI.Migration.self)
              return "created"
            } catch { return (error as? Problem)?.code ?? "\(error)" }
          }
        }
        return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
      }
      // One machine had its seat, another one got the last; 6 tries of each.
      #expect(codes == ["created": 12, "licence_exhausted": 12], "\(codes)")
      let seats = try await owner.seats()
      #expect(seats.seats.count == 2 && Set(seats.seats.map(\.source)).count == 2)
      try await Self.commands(platform)
    }
  }

  /// `godwit licence`, through the front.
  private static func commands(_ platform: ServedPlatform) async throws {
    let folder = platform.plane.folder
    let token = try AdminToken.open(file: folder + "/admin.token").text
    func godwit(_ arguments: [String]) throws -> (status: Int32, output: String) {
      try Served.run(
        arguments + ["--server", platform.url("front"), "--token", token, "--tenant", "acme"],
        environment: ["HOME": folder])
    }
    let issued = try godwit(["licence", "issue", "acme", "--seats", "3", "--days", "30"])
    #expect(issued.status == 0, "\(issued.output)")
    let file = folder + "/acme.licence"
    try issued.output.write(toFile: file, atomically: true, encoding: .utf8)
    let (key, other) = (folder + "/licence.key.pub", folder + "/front.key.pub")
    func check(_ more: [String]) throws -> (status: Int32, output: String) {
      try Served.run(["licence", "check", file] + more)
    }
    let good = try check(["--key", key])
    #expect(good.status == 0 && good.output.contains("is good") && good.output.contains("3 seats"), "\(good.output)")
    let late = try check(["--key", key, "--at", "2099-01-01T00:00:00Z"])
    #expect(late.status == 1 && late.output.contains("EXPIRED"))
    let forged = try check(["--key", other])
    #expect(forged.status == 1 && forged.output.contains("not signed by a known licensing key"))

    let listed = try godwit(["licence", "list"])
    #expect(listed.status == 0 && listed.output.contains("evaluation") && listed.output.contains("standard"))
    let id = try #require(
      try JSONDecoder().decode(
        [LicensingAPI.Issued].self, from: Data(try godwit(["licence", "list", "--json"]).output.utf8)
      ).first { $0.edition == .standard }
    ).id
    #expect(try godwit(["licence", "show", id]).output == issued.output)
    #expect(try godwit(["licence", "revoke", id]).status == 0)
    #expect(try godwit(["licence", "list", "--all"]).output.contains("revoked"))
    let unknown = try godwit(["licence", "revoke", "lic-none"])
    #expect(unknown.status == 1 && unknown.output.contains("not_found"))
    let greedy = try godwit(["licence", "issue", "acme", "--seats", "99", "--days", "1", "--edition", "evaluation"])
    #expect(greedy.status == 1 && greedy.output.contains("licence_bounds"))
    // The operator's doings are in the tenant's audit.
    for _ in 0..<50 {
      let audit = try godwit(["audit", "list"]).output
      if audit.contains("licence \(id)"), audit.contains("DELETE /v1/licences/{id}") { return }
      try await Task.sleep(for: .milliseconds(200))
    }
    Issue.record("the licence never came to the audit")
  }

  @Test func `As a function it issues and checks with nothing but its environment`() async throws {
    let (licence, front) = (AgentKey(), AgentKey())
    let port = try ControlPlane.freePort()
    let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
    try PrivateFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let environment = [
      "GODWIT_LICENSING_STATELESS": "true", "PORT": "\(port)",
      "GODWIT_LICENSING_LICENCE_SECRET": Base64URL.encode(licence.rawRepresentation),
      "GODWIT_LICENSING_CALLERS": "front:" + Base64URL.encode(front.publicKey)
    ]
    let start = ContinuousClock.now
    let served = try Served(["serve", "licensing"], log: folder + "/log", environment: environment)
    defer { served.end(SIGKILL) }
    try served.isListening(addresses: 1)
    let issuer = ServiceTokenIssuer(name: "front", key: front)
    func client(_ tenant: String, _ subject: String?) throws -> RESTClient {
      try RESTClient(name: "licensing", endpoint: .web(url: "http://127.0.0.1:\(port)", ca: nil)) {
        "Bearer " + (try issuer.token(for: "licensing", tenant: tenant, subject: subject))
      }
    }
    let wish = LicensingAPI.Wish(tenant: "acme", edition: .enterprise, seats: 7, days: 10)
    let issued: LicensingAPI.Issued = try await client("*", "admin").post("/v1/licences", wish)
    print("first answer after \(ContinuousClock.now - start)")
    #expect(try Licence(issued.licence, keys: [licence.publicKey]).seats == 7)
    let checked: LicensingAPI.Checked = try await client("*", "admin").post(
      "/v1/licences/check", LicensingAPI.Check(licence: issued.licence))
    #expect(checked.standing == .good && checked.licence.tenant == "acme")
    for (tenant, subject) in [("acme", "admin"), ("*", nil)] {
      let refused = await #expect(throws: Problem.self) {
        try await client(tenant, subject).post("/v1/licences", wish, as: LicensingAPI.Issued.self)
      }
      #expect(refused?.status == 404)
    }
    let listing = await #expect(throws: Problem.self) {
      try await client("*", "admin").get("/v1/licences", as: Owner.Licences.self)
    }
    #expect(listing?.status ?? 0 >= 400)
    let log = try String(contentsOfFile: folder + "/log", encoding: .utf8)
    #expect(!log.contains(environment["GODWIT_LICENSING_LICENCE_SECRET"] ?? ""))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["log"], "nothing is kept")
    let portless = try Served.run(
      ["serve", "licensing", "--check"], environment: environment.merging(["PORT": "none"]) { $1 })
    #expect(portless.status == 2 && portless.output.contains("PORT is 'none'"))
  }
}
