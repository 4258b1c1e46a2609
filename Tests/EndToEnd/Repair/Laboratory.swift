import Foundation
import Machines
import Testing

/// A folder of one test: builds guests and the appliance by the scripts that ship, and runs repairs.
final class Laboratory {
  let folder: URL
  private static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("godwit-repair-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Runs a program to its end and gives its last line of output.
  @discardableResult func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw EmulatedMachine.Failure(
        description: "\(program) \(arguments) ended with \(process.terminationStatus): \(text)")
    }
    return String(text.split(separator: "\n").last ?? "")
  }

  func script(_ path: String, _ arguments: [String] = []) throws -> String {
    try run(Self.repository.appendingPathComponent("deploy/" + path).path, arguments)
  }

  /// A disk of its own over one that is shared.
  func overlay(of raw: String) throws -> String {
    let path = folder.appendingPathComponent(UUID().uuidString + ".qcow2").path
    try run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", path])
    return path
  }

  /// A small ext4 disk that holds `files`.
  func disk(holding files: [String: String]) throws -> String {
    let root = folder.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    for (path, text) in files {
      let file = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let raw = root.path + ".img"
    try run("mke2fs", ["-q", "-t", "ext4", "-d", root.path, raw, "16M"])
    return try overlay(of: raw)
  }

  /// The outcome of one run of the appliance.
  struct Outcome {
    var report: RepairReport
    /// From the start of the machine to its end.
    var seconds: Double
  }

  /// Runs the appliance on `disks`.
  func repair(_ disks: [String], words: String = "") throws -> Outcome {
    let start = Date()
    let machine = try EmulatedMachine(
      disks: disks, bus: .virtio,
      [
        "-kernel", Self.appliance + "/vmlinuz", "-initrd", Self.appliance + "/initramfs", "-append",
        "console=ttyS0 quiet panic=-1 " + words
      ])
    try machine.waitForEnd(seconds: 120)
    let seconds = Date().timeIntervalSince(start)
    let lines = machine.console.split(whereSeparator: \.isNewline)
    let prefix = "GODWIT-REPAIR-REPORT "
    let line = try #require(lines.first { $0.hasPrefix(prefix) }, "\(machine.console.suffix(2000))")
    #expect(lines.contains { $0 == "GODWIT-REPAIR-END" })
    let report = try JSONDecoder().decode(RepairReport.self, from: Data(line.dropFirst(prefix.count).utf8))
    return Outcome(report: report, seconds: seconds)
  }

  /// As `make appliance` built it, into the folder that GODWIT_OUT names.
  private static let appliance =
    (ProcessInfo.processInfo.environment["GODWIT_OUT"] ?? repository.path + "/out") + "/appliance"

  /// A port of 127.0.0.1 that nothing listens on.
  static func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
      }
    }
    try #require(bound)
    return UInt16(bigEndian: address.sin_port)
  }
}
