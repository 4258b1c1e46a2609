import Foundation

/// A script of this repository that ran to its end.
struct Script {
  static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// What it printed, and how it ended.
  let text: String
  let status: Int32

  /// - Parameter path: from the repository's top, where it runs.
  init(_ path: String, _ arguments: [String]) throws {
    let process = Process()
    // Foundation's children get a mask that blocks the signals by which the script ends its own.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["--default-signal", Self.top.appendingPathComponent(path).path] + arguments
    process.currentDirectoryURL = Self.top
    let output = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
    try process.run()
    text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    status = process.terminationStatus
  }
}
