import Foundation
import Testing

/// A running machine is moved by the programs as they are shipped: enrolled, copied while it serves, switched, finished.
/// The script checks by itself that every record acknowledged outside of the guest is served by the target.
@Suite(.serialized, .timeLimit(.minutes(20))) struct MoveTests {
  private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  @Test(
    "A running machine moves, also when every program is killed, and nothing that was acknowledged is missing",
    arguments: [["tiny", "--kill"], ["tiny-uefi"]])
  func moves(guest: [String]) throws {
    let process = Process()
    // Foundation's children get a mask that blocks the signals by which the script ends its own.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      [
        "--default-signal", Self.top.appendingPathComponent("deploy/demo/run").path, "--short", "--guest"
      ] + guest
    let output = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    #expect(text.contains("Every acknowledged record is served by the target"), "\(text)")
    // A death that did not take place proves nothing.
    let deaths = text.components(separatedBy: "killed in the middle of the copy").count - 1
    #expect(deaths == (guest.contains("--kill") ? 4 : 0), "\(text)")
  }
}
