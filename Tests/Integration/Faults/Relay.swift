import Foundation
import Synchronization

/// A relay in a process of its own between an agent and its gateway (Tests/support/relay): a long line, and one that is
/// cut with resets and refusals.
final class Relay: Sendable {
  struct Counts {
    /// Bytes to the gateway, and back.
    var sent: UInt64
    var received: UInt64
  }

  let port: Int
  private let process: Process
  private let orders: FileHandle
  private let answers: Mutex<FileHandle>

  /// - Parameters:
  ///   - port: of the gateway.
  ///   - delay: milliseconds in each direction.
  static func with<Value>(
    to port: Int, delay: Int = 0, _ body: (Relay) async throws -> Value
  ) async throws -> Value {
    let relay = try Relay(to: port, delay: delay)
    defer { relay.end() }
    return try await body(relay)
  }

  private init(to target: Int, delay: Int) throws {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    process = Process()
    process.executableURL = root.appending(path: "Tests/support/relay")
    process.arguments = ["--to", "\(target)", "--delay", "\(delay)"]
    let (input, output) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    orders = input.fileHandleForWriting
    answers = Mutex(output.fileHandleForReading)
    let line = Self.line(from: output.fileHandleForReading)
    guard let port = Int(line.trimmingCharacters(in: .newlines)) else {
      process.terminate()
      throw BenchFailure(what: "the relay said \(line)")
    }
    self.port = port
  }

  /// A line may come in pieces.
  private static func line(from pipe: FileHandle) -> String {
    var line = ""
    while !line.hasSuffix("\n") {
      let piece = pipe.availableData
      if piece.isEmpty { break }
      line += String(decoding: piece, as: UTF8.self)
    }
    return line
  }

  private func ask(_ order: String) throws -> Counts {
    try answers.withLock { answers in
      try orders.write(contentsOf: Data((order + "\n").utf8))
      let line = Self.line(from: answers)
      let numbers = line.split(whereSeparator: \.isWhitespace).compactMap { UInt64($0) }
      guard numbers.count == 2 else { throw BenchFailure(what: "the relay answered \(line)") }
      return Counts(sent: numbers[0], received: numbers[1])
    }
  }

  func counts() throws -> Counts { try ask("count") }
  func cut() throws { _ = try ask("cut") }
  func mend() throws { _ = try ask("mend") }

  private func end() {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
