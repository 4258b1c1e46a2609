import Foundation
import Providers
import Subprocess
import Testing

/// Reads and writes an attached volume through its NBD socket, with the tools of qemu-utils.
enum NBDTool {
  static func write(_ location: String, _ offset: UInt64, _ bytes: [UInt8]) async throws {
    let file = scratch()
    defer { try? FileManager.default.removeItem(atPath: file) }
    try Data(bytes).write(to: URL(filePath: file))
    try await run(
      "qemu-io", ["-f", "raw", "-c", "write -s \(file) \(offset) \(bytes.count)", "-c", "flush", location])
  }

  static func read(_ location: String, _ offset: UInt64, _ count: Int) async throws -> [UInt8] {
    let file = scratch()
    defer { try? FileManager.default.removeItem(atPath: file) }
    let sectors = (offset / 512, (count + 511) / 512)
    try await run(
      "qemu-img",
      [
        "dd", "-f", "raw", "-O", "raw", "bs=512", "skip=\(sectors.0)", "count=\(sectors.0 + UInt64(sectors.1))",
        "if=\(location)", "of=\(file)"
      ])
    return [UInt8](try Data(contentsOf: URL(filePath: file))[..<count])
  }

  /// A write of a repeated byte, and a check of it.
  static func fill(_ location: String, _ offset: UInt64, _ count: Int, with byte: UInt8) async throws {
    try await run(
      "qemu-io", ["-f", "raw", "-c", "write -P \(byte) \(offset) \(count)", "-c", "flush", location])
  }

  static func expect(_ location: String, _ offset: UInt64, _ count: Int, is byte: UInt8) async throws {
    try await run("qemu-io", ["-f", "raw", "-r", "-c", "read -P \(byte) \(offset) \(count)", location])
  }

  private static func scratch() -> String { "/var/tmp/godwit-bytes-\(UInt64.random(in: 0 ... .max))" }

  private static func run(_ tool: String, _ arguments: [String]) async throws {
    let result = try await Subprocess.run(
      .name(tool), arguments: Arguments(arguments), output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
    let said = result.standardOutput + result.standardError
    // qemu-io ends well even when a pattern is not what was asked for.
    guard result.terminationStatus.isSuccess, !said.contains("failed") else {
      throw ProviderError(.failed, "\(tool) \(arguments): \(said)")
    }
  }
}
