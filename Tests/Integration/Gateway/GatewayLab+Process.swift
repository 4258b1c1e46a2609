import Foundation
import ServiceKit
import Wire

extension GatewayLab {
  /// Starts the program on the lab's state folder and waits for the line by which it says where it listens.
  func startProcess(_ arguments: String...) throws -> (process: Process, gateway: RunningGateway) {
    try Base64URL.encode(issuer.publicKey).write(toFile: path("issuer"), atomically: true, encoding: .utf8)
    let process = Process()
    process.executableURL = URL(filePath: SyncBench.program("godwit-gateway"))
    process.arguments =
      [
        "--state", path("state"), "--issuer-key", path("issuer"), "--certificate", identity.certificateFile,
        "--private-key", identity.keyFile
      ] + arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    struct Line: Decodable {
      var port: Int
      var key: String
    }
    guard let line = try? JSONDecoder().decode(Line.self, from: output.fileHandleForReading.availableData) else {
      Self.end(process, SIGKILL)
      throw BenchFailure(what: "the gateway did not start")
    }
    return (process, RunningGateway(lab: self, port: line.port, publicKey: Base64URL.decode(line.key) ?? []))
  }

  static func end(_ process: Process, _ signal: Int32) {
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
  }
}
