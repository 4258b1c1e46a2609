import Blocks
import Conformance
import Foundation
import Testing
import Volumes

/// A raw file with the decorators around it, for the length of a closure.
private func withFile(_ body: (RawFile) throws -> Void) throws {
  let path = "/var/tmp/godwit-test-\(UUID().uuidString).img"
  defer { try? FileManager.default.removeItem(atPath: path) }
  try body(RawFile.create(path: path, size: 16 << 20 + 1536))
}

@Suite("Block rules", .timeLimit(.minutes(2)))
struct BlockConformance {
  @Test("A raw file", arguments: BlockRules.all)
  func rawFile(rule: BlockRule) throws { try withFile { try rule.check($0) } }

  @Test("A throttled volume", arguments: BlockRules.all)
  func throttled(rule: BlockRule) throws {
    try withFile { try rule.check(ThrottledWriter($0, rate: RateLimit(bytesPerSecond: 1 << 30))) }
  }

  @Test("A faulty volume without faults", arguments: BlockRules.all)
  func faulty(rule: BlockRule) throws { try withFile { try rule.check(FaultyBlocks($0, plan: .init())) } }

  @Test("A volume with a cache that can be lost", arguments: BlockRules.all)
  func powerLoss(rule: BlockRule) throws { try withFile { try rule.check(PowerLossVolume($0, seed: 1)) } }

  @Test("A block device", arguments: BlockRules.all)
  func blockDevice(rule: BlockRule) throws {
    try withFile { file in
      let process = { (arguments: [String]) throws -> String in try runTool("losetup", arguments) }
      let device = try process(["--find", "--show", file.path])
      defer { _ = try? process(["--detach", device]) }
      try rule.check(BlockDevice(path: device))
    }
  }
}

/// Runs a program to its end and returns what it printed.
private func runTool(_ program: String, _ arguments: [String]) throws -> String {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let output = Pipe()
  process.standardOutput = output
  try process.run()
  let bytes = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0)
  return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
}
