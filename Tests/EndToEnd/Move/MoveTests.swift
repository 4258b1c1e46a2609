import Foundation
import Testing

/// A running machine is moved by the programs as they are shipped: enrolled, copied while it serves, switched, finished.
/// The script checks by itself that every record acknowledged outside of the guest is served by the target.
@Suite(.serialized, .timeLimit(.minutes(20))) struct MoveTests {
  private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  @Test("A running machine moves, and nothing that was acknowledged is missing", arguments: ["tiny", "tiny-uefi"])
  func moves(guest: String) throws {
    let process = Process()
    // Foundation's children get a mask that blocks the signals by which the script ends its own.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "--default-signal", Self.top.appendingPathComponent("deploy/demo/run").path, "--guest", guest, "--short"
    ]
    let output = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    #expect(text.contains("Every acknowledged record is served by the target"), "\(text)")
  }
}
