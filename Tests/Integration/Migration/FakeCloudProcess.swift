import Foundation

/// The program `godwit-fakecloud` with a state folder of its own: it outlives whoever is killed, so its log can judge.
enum FakeCloudProcess {
  struct NotStarted: Error { var log: String }

  /// Runs `body` with the endpoint of a fake cloud whose state lies in `folder/cloud`.
  static func with<Value>(folder: String, _ body: (_ endpoint: String) async throws -> Value) async throws -> Value {
    let process = Process()
    process.executableURL = URL(filePath: SyncBench.program("godwit-fakecloud"))
    process.arguments = ["--state", folder + "/cloud"]
    let (output, log) = (Pipe(), folder + "/cloud.log")
    process.standardOutput = output
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.run()
    defer {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    guard line.hasPrefix("http://") else {
      throw NotStarted(log: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }
    return try await body(line.trimmingCharacters(in: .whitespacesAndNewlines))
  }
}
