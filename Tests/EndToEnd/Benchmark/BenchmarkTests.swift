import Foundation
import Testing

/// The benchmarks speak with agent and gateway themselves: whoever changes what these say to each other hears of it here,
/// not when the next figure is wanted.
@Suite(.timeLimit(.minutes(5))) struct BenchmarkTests {
  private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  @Test func `The benchmarks run, and their full copy and points are sealed`() throws {
    let table = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID()).json")
    defer { try? FileManager.default.removeItem(at: table) }
    let process = Process()
    // Foundation's children get a mask that blocks the signals by which the script ends its own.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "--default-signal", Self.top.appendingPathComponent("Benchmarks/run").path, "--smoke", "--json", table.path,
      "--gateway", Self.top.appendingPathComponent(".build/debug/godwit-gateway").path
    ]
    let output = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    for figure in ["full: bytes on the wire", "freeze over"] { #expect(text.contains(figure), "\(text)") }
    #expect(FileManager.default.fileExists(atPath: table.path))
  }
}
