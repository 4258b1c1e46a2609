import Foundation

/// A loop device on a sparse file in a folder of its own, for the length of a closure; nothing of it stays.
struct LoopDisk {
  /// `/dev/loop7` and `loop7`.
  let path: String
  var name: String { String(path.dropFirst("/dev/".count)) }
  let folder: String
  var image: String { folder + "/disk.img" }
  var mountPoint: String { folder + "/mnt" }

  /// - Parameter size: bytes.
  static func with<R>(size: UInt64, _ body: (LoopDisk) throws -> R) throws -> R {
    let disk = try LoopDisk(size: size)
    let result = Result { try body(disk) }
    try disk.remove()
    return try result.get()
  }

  /// - Parameter size: bytes.
  static func with<R>(size: UInt64, _ body: (LoopDisk) async throws -> R) async throws -> R {
    let disk = try LoopDisk(size: size)
    let result: Result<R, any Error>
    do { result = .success(try await body(disk)) } catch { result = .failure(error) }
    try disk.remove()
    return try result.get()
  }

  /// Where the folders of tests go: `make torture` names one that it can clear when it is interrupted.
  static let place = ProcessInfo.processInfo.environment["GODWIT_TEST_FOLDER"] ?? "/var/tmp"

  private init(size: UInt64) throws {
    folder = Self.place + "/godwit-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder + "/mnt", withIntermediateDirectories: true)
    do {
      try run("truncate", "-s", "\(size)", folder + "/disk.img")
      path = try run("losetup", "--find", "--show", folder + "/disk.img")
    } catch {
      try? FileManager.default.removeItem(atPath: folder)
      throw error
    }
  }

  /// Takes everything away, and throws where something stays.
  private func remove() throws {
    unmount()
    // The kernel detaches when the last user has let go, which may be a moment after its program ended.
    for attempt in 0..<100 where try isAttached() {
      if attempt > 0 { usleep(100_000) }
      _ = try? run("losetup", "--detach", path)
    }
    if try isAttached() || isMounted { throw LeftBehind(what: "loop device or mount of \(folder), held by \(holders)") }
    try FileManager.default.removeItem(atPath: folder)
  }

  /// Makes a filesystem on the disk and mounts it.
  func mount(_ type: String) throws {
    try run("mkfs.\(type)", type == "ext4" ? "-qF" : "-qf", path)
    try run("mount", "-t", type, path, mountPoint)
  }

  func unmount() {
    // A program that was just ended may hold a file for a moment longer.
    for _ in 0..<50 where isMounted {
      _ = try? run("umount", mountPoint)
      if isMounted { usleep(100_000) }
    }
  }

  private func isAttached() throws -> Bool {
    try run("losetup", "--list", "--noheadings", "--output", "BACK-FILE").contains(folder)
  }

  var isMounted: Bool {
    (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8))?.contains(" \(mountPoint) ") ?? false
  }

  /// What this very process holds open on it.
  private var holders: [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return files.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0) }
      .filter { $0.hasPrefix(folder) || $0 == path }
  }

  struct LeftBehind: Error { var what: String }
}

struct ProgramFailed: Error, CustomStringConvertible {
  var description: String
}

/// Runs a program to its end and returns its output without the last newline. Throws where it fails.
@discardableResult
func run(_ program: String, _ arguments: String...) throws -> String { try run(program, arguments) }

@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> String {
  let process = start(program, arguments)
  let output = Pipe()
  process.standardOutput = output
  process.standardError = output
  try process.run()
  let bytes = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
  guard process.terminationStatus == 0 else {
    throw ProgramFailed(description: "\(program) \(arguments): \(process.terminationStatus): \(text)")
  }
  return text
}

/// A program that is not started yet.
func start(_ program: String, _ arguments: [String]) -> Process {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = [program] + arguments
  return process
}
