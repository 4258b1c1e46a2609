import Foundation
import ServiceKit

extension Platform {
  /// Runs the program `godwit` as the tenant's user. Blocks.
  func godwit(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let token = try ServiceTokenIssuer(name: "front", key: plane.key("front"))
      .token(for: "migration", tenant: owner.tenant)
    // Evidence is checked on any machine, with nothing but the file and the CA.
    let server = ["--server", url, "--token", token, "--tenant", owner.tenant, "--ca", lab.path("ca/ca.pem")]
    let process = Process()
    process.executableURL = URL(filePath: SyncBench.program("godwit"))
    process.arguments = arguments + (arguments.starts(with: ["evidence", "check"]) ? [] : server)
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}
