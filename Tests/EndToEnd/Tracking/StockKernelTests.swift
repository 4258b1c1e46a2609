import Foundation
import Testing

/// The agent as it is shipped, on a kernel as Debian ships it: one boot of the torture in guests (Tests/support/guests).
@Suite(.serialized, .timeLimit(.minutes(10))) struct StockKernelTests {
  private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  @Test func `on virtio, NVMe and SCSI disks every point equals its disks as they were frozen`() throws {
    let process = Process()
    // Foundation's children get a mask that blocks the signals by which the script ends its own.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "--default-signal", Self.top.appendingPathComponent("Tests/support/guests/run").path, "--short"
    ]
    let output = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    for disk in ["virtio  ext4   tp_btf", "nvme    xfs    tp_btf", "scsi    btrfs  tp_btf"] {
      #expect(text.contains(disk), "\(text)")
    }
    // Full, under load, after a kill, and final.
    #expect(text.components(separatedBy: ", points 4, misses 0,").count == 4, "\(text)")
    #expect(text.contains("adopted 1,"), "\(text)")
  }
}
