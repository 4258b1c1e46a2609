import Foundation
import ServiceKit

/// The program `godwit up` on a state folder of its own, without gateway and hypervisor; and the program as its client.
final class UpProcess {
  struct Facts: Decodable {
    var url: String
    var token: String
    var ca: String
  }
  let folder = "/var/tmp/godwit-\(UUID().uuidString.prefix(13))"
  let facts: Facts
  private let process = Process()

  init() throws {
    try PrivateFile.makeFolder(folder)
    let (output, log) = (Pipe(), folder + "/up.log")
    process.executableURL = URL(filePath: SyncBench.program("godwit"))
    process.arguments = [
      "up", "--state", folder + "/state", "--listen", "127.0.0.1:0", "--without-gateway", "--without-hypervisor"
    ]
    process.environment = ["HOME": folder, "PATH": "/usr/bin:/bin"]
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    (process.standardOutput, process.standardError) = (output, FileHandle(forWritingAtPath: log))
    try process.run()
    guard
      let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).split(separator: "\n")
        .first,
      let facts = try? JSONDecoder().decode(Facts.self, from: Data(line.utf8))
    else {
      kill(process.processIdentifier, SIGKILL)
      throw FakeCloudProcess.NotStarted(log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }
    self.facts = facts
  }

  func end() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Runs the program as a client. Blocks.
  /// - Parameter input: what stands on its standard input.
  func godwit(_ arguments: [String], token: String? = nil, tenant: String = "acme", input: String = "") throws
    -> (status: Int32, output: String)
  {
    let client = Process()
    client.executableURL = URL(filePath: SyncBench.program("godwit"))
    client.arguments = arguments
    client.environment = [
      "HOME": folder, "PATH": "/usr/bin:/bin", "GODWIT_SERVER": facts.url, "GODWIT_CA": facts.ca,
      "GODWIT_TENANT": tenant, "GODWIT_TOKEN": token ?? facts.token
    ]
    let (output, given) = (Pipe(), Pipe())
    (client.standardOutput, client.standardError, client.standardInput) = (output, output, given)
    try client.run()
    given.fileHandleForWriting.write(Data(input.utf8))
    try given.fileHandleForWriting.close()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    client.waitUntilExit()
    return (client.terminationStatus, String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines))
  }
}
